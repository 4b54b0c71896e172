gcc -fno-use-linker-plugin -O2 -Wall -o prog prog.c && ./prog works; echo "status $?"
size=$(stat -c %s prog); [ "$size" -gt 10000 ] && echo linked
gcc -S -O2 -o - prog.c | grep -c call; rm -f prog
