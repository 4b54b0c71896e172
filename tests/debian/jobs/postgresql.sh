bin=$(echo /usr/lib/postgresql/*/bin)
mkdir -p /tmp/pg; chown postgres /tmp/pg
cat >/tmp/pg.sh <<END
export PATH=$bin:\$PATH
initdb -D /tmp/pg/d -A trust --no-locale -E UTF8 -N >/tmp/pg/initdb.log 2>&1; echo "initdb \$?"
pg_ctl -D /tmp/pg/d -w -t 300 -o "-c listen_addresses= -c unix_socket_directories=/tmp -c shared_buffers=16MB -c max_connections=10" -l /tmp/pg/log start >/dev/null; echo "start \$?"
psql -h /tmp -Atc "select count(*), sum(i) from generate_series(1, 10000) i" postgres
pgbench -h /tmp -q -i -s 1 postgres >/tmp/pg/init.log 2>&1; echo "pgbench -i \$?"
pgbench -h /tmp -c 3 -t 20 postgres 2>&1 | grep -E 'actually processed|failed'
psql -h /tmp -At postgres <<SQL
select sum(abalance) = (select sum(bbalance) from pgbench_branches) from pgbench_accounts;
select count(*) from pgbench_history;
set work_mem = '64kB'; select count(*), max(n) from (select random() as n from generate_series(1, 20000) order by 1) x where n < 2;
set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0;
select count(*), sum(aid) from pgbench_accounts;
vacuum full pgbench_accounts;
SQL
pg_ctl -D /tmp/pg/d -m immediate stop >/dev/null
pg_ctl -D /tmp/pg/d -w -t 300 -l /tmp/pg/log start -o "-c listen_addresses= -c unix_socket_directories=/tmp -c shared_buffers=16MB" >/dev/null; echo "after a crash \$?"
psql -h /tmp -Atc "select count(*) from pgbench_history" postgres
pg_ctl -D /tmp/pg/d -m fast stop >/dev/null; echo "stop \$?"
grep -E 'FATAL|PANIC|could not' /tmp/pg/log
END
setpriv --reuid=100 --regid=100 --clear-groups bash /tmp/pg.sh
