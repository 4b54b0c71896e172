/* epoll(7): files watched together. */
#ifndef FS_EVENT_EVENTPOLL_H
#define FS_EVENT_EVENTPOLL_H
#include "fs/file.h"

/** The last reference to a watched file is gone: nobody watches it any more. May sleep. */
void eventpoll_release_file(struct file *f);
#endif
