# What it prints on the way is only for a terminal.
memtester 8M 1 | tr '\b' '\n' | grep -E '^(  )?[A-Z].*: .*ok$|got|Done|^Loop' | sed 's/.*\(ok\)$/\1/'
echo "status ${PIPESTATUS[0]}"
