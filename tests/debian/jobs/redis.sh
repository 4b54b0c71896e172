redis-server --port 0 --unixsocket /tmp/r.sock --save "" --appendonly no --dir /tmp >/tmp/r.log 2>&1 &
for i in $(seq 60); do [ -S /tmp/r.sock ] && break; sleep 0.5; done
c() { redis-cli -s /tmp/r.sock "$@"; }
redis-benchmark -s /tmp/r.sock -n 300 -c 5 -q -t set,get,incr,lpush,lpop,sadd,mset | tr '\r' '\n' | grep 'per second' | sed 's/:.*//'
c set key value; c get key; c incrby n 41; c incr n; c rpush l a b c; c lrange l 0 -1
c eval 'local s = 0 for i = 1, 1000 do s = s + i end return s' 0
for i in $(seq 20); do echo "set k$i $(printf 'x%.0s' $(seq 500))"; done | c | sort | uniq -c
# A snapshot is fork and copy on write.
c bgsave; for i in $(seq 60); do c info persistence | grep -q rdb_bgsave_in_progress:0 && break; sleep 0.5; done
c info persistence | grep -E 'rdb_last_bgsave_status|rdb_changes_since_last_save' | tr -d '\r'
c dbsize; redis-check-rdb /tmp/dump.rdb | grep -c 'RDB looks OK'
c flushall; c shutdown nosave; wait; echo "status $?"
