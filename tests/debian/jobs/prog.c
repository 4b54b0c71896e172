#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct tree {
	struct tree *l, *r;
	int v;
};
static struct tree *add(struct tree *t, int v)
{
	if (!t) {
		t = calloc(1, sizeof(*t));
		t->v = v;
	} else if (v < t->v)
		t->l = add(t->l, v);
	else
		t->r = add(t->r, v);
	return t;
}
static long sum(struct tree *t)
{
	return t ? t->v + sum(t->l) + sum(t->r) : 0;
}
int main(int argc, char **argv)
{
	struct tree *t = 0;
	unsigned x = 1;
	for (int i = 0; i < 100000; i++)
		t = add(t, (x = x * 1103515245 + 12345) >> 8 & 0xfffff);
	printf("%ld %d %s\n", sum(t), argc, argv[1]);
	return 3;
}
