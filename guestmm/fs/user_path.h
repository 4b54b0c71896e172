/* A path name copied from a program. */
#ifndef FS_USER_PATH_H
#define FS_USER_PATH_H
#include "lib/types.h"

struct user_path {
	const char *name;
	char *big;	 /* NULL: it is in `small` */
	char small[104]; /* most names fit */
};
/** Copy a name from user memory. Returns its length: end it with user_path_put(). Or -EFAULT, -ENAMETOOLONG, -ENOMEM.
 * */
long user_path_get(struct user_path *p, unsigned long user);
void user_path_put(struct user_path *p);
#endif
