# The table of system calls in doc/linux.md, from the declarations in include/mmvm/syscalls.h.
#    awk -f tests/vm/syscall_table.awk include/mmvm/syscalls.h
/^\/\* area: / {
	area = $0
	sub(/^\/\* area: /, "", area)
	sub(/ \*\/$/, "", area)
	areas[++nr] = area
}
/^\tX\([0-9]+, [a-z0-9_]+, sys_/ {
	name = $2
	sub(/,$/, "", name)
	names[nr] = names[nr] " " name
}
END {
	for (a = 1; a <= nr; a++) {
		n = split(names[a], call, " ")
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && call[j] < call[j - 1]; j--) {
				t = call[j]; call[j] = call[j - 1]; call[j - 1] = t
			}
		line = "| " areas[a] " | "
		for (i = 1; i <= n; i++)
			line = line (i > 1 ? ", " : "") "`" call[i] "`"
		print line " |"
	}
}
