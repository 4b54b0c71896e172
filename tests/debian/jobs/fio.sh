# Every byte that is read back is compared with what was written.
for o in "psync randrw" "psync randwrite --direct=1" "mmap randwrite" "sync write --fsync=16" "vsync randread" "mmap randrw --thread --numjobs=2"; do
	set -- $o; e=$1; rw=$2; shift 2
	fio --name=a --directory=/tmp --ioengine=$e --rw=$rw --size=1M --bs=4k --verify=crc32c --randseed=7 --output-format=terse "$@" >/tmp/fio.out 2>&1
	echo "$o: status $? errors $(cut -d';' -f5 /tmp/fio.out | sort -u | tr '\n' ' ')"
	rm -f /tmp/a.*
done
