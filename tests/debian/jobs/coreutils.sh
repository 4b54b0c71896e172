seq 1 20000 >n; wc -l n; sort -rn n | head -n 3; sha256sum n; md5sum <n; tail -c 20 n | od -An -tx1
cut -c1 n | sort | uniq -c | sort -k1,1nr -k2 | head -n 4
dd if=n of=m bs=1000 count=7 skip=3 2>/dev/null; stat -c '%s %a %F' m; truncate -s 1M m; stat -c '%s' m
mkdir -p d/e; cp n d/e/; ln -s e/n d/l; ln n d/h; stat -c '%h' n; mv d/e/n d/x; find d | sort
chmod 640 d/x; stat -c '%a' d/x; ls d; rm -r d; ls
split -l 7000 n part.; ls part.*; cat part.* | diff - n && echo same; rm part.*
seq 1 50 | xargs -n 10 echo; seq 1 5 | paste -sd+ ; factor 1234567890; expr 6 \* 7
seq 3 3 30 >a; seq 5 5 30 >b; comm -12 <(sort a) <(sort b); nl a | tail -n 1; grep -c 1 n; sed -n '5p;$p' n
timeout 0.2 sleep 5; echo "timeout $?"; basename /a/b/c; cat nothing 2>/dev/null; echo "status $?"; rm -f a b n m
