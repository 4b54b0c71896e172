my %h; $h{$_ % 7} += $_ for 1 .. 10000; print join(" ", map {"$_=$h{$_}"} sort keys %h), "\n";
my $s = "the quick brown fox"; $s =~ s/(\w+)/\u$1/g; print "$s\n"; print join(",", reverse sort { $a <=> $b } (10, 9, 100, 1)), "\n";
open(my $f, ">", "p.txt") or die; print $f "line $_\n" for 1 .. 1000; close $f; open($f, "<", "p.txt"); my $n = () = <$f>; close $f; unlink "p.txt"; print "$n\n";
my $pid = fork; exit 4 unless $pid; waitpid $pid, 0; print $? >> 8, "\n"; print `echo from a shell`; my @a = map { "x" x 1000 } 1 .. 5000; print length(join "", @a), "\n";
