/* Pages that the kernel's direct map does not show. Host build: tests/host/host_arena.c. */
#ifndef ARCH_DIRECT_MAP_H
#define ARCH_DIRECT_MAP_H
struct page;

/** From now on no CPU reaches the page by page_address(). The page is the caller's, of order 0. 0, or -ENOMEM: it
 * is shown as before. May sleep. */
int direct_map_hide(const struct page *page);
/** Show it again: before its frame is anybody else's. */
void direct_map_show(const struct page *page);
#endif
