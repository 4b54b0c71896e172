gc-go
GOGC=10 GOMAXPROCS=4 gc-go
GODEBUG=gctrace=1 gc-go 2>&1 >/dev/null | grep -c '^gc ' | sed 's/^[1-9][0-9]*$/collections/'
