# Each of its stressors that is about memory, for a few rounds, with what it checks itself.
mount -t tmpfs tmpfs /dev/shm
small="--vm-bytes 8M --mmap-bytes 8M --bigheap-growth 256K --shm-bytes 2M --shm-sysv-bytes 2M --memfd-bytes 8M --malloc-bytes 8M --mremap-bytes 4M --userfaultfd-bytes 1M --vm-rw-bytes 2M --vm-splice-bytes 64K --memrate-bytes 4M"
for s in vm brk fault madvise mincore mlock mlockmany mmap mmapaddr mmapfixed mmapfork mmapmany mprotect mremap msync munmap \
	bad-altstack dev-shm fork malloc memfd memthrash numa pagemove remap resources rmap rseq shm shm-sysv sigq sigrt stack timer \
	tlb-shootdown tmpfs userfaultfd vm-addr vm-rw vm-segv zero; do
	o=$(timeout 900 stress-ng --$s 1 --$s-ops 3 $small --timeout 20 --verify 2>&1); st=$?
	case $st in
	0) case $o in *skipp*) echo "$s: not here: $(echo "$o" | grep -m 1 skipp | sed 's/.*\] //')" ;; *) echo "$s: passed" ;; esac ;;
	3 | 4) echo "$s: not here: $(echo "$o" | grep -v 'setting to\|dispatching' | head -n 1 | sed 's/.*\] //')" ;;
	*) case $o in *"unrecognized option"*) echo "$s: not here: this stress-ng has no such stressor"; continue ;; esac
		echo "$s: FAILED ($st)"; echo "$o" | head -n 6 ;;
	esac
done
