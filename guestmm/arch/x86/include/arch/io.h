/* Ports and device registers. Registers are reached through ioremap(); each access is one move of
 * the width named, never merged or reordered by the compiler. */
#ifndef ARCH_IO_H
#define ARCH_IO_H
#include "lib/types.h"

static inline void outb(u16 port, u8 v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port) : "memory");
}
static inline u8 inb(u16 port)
{
	u8 v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static inline void outl(u16 port, u32 v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port) : "memory");
}
/** Write `n` bytes to one port with a single instruction. */
static inline void outsb(u16 port, const void *buf, size_t n)
{
	__asm__ volatile("rep outsb" : "+S"(buf), "+c"(n) : "d"(port) : "memory");
}

static inline u8 readb(const volatile void *reg)
{
	u8 v;

	__asm__ volatile("movb (%1), %0" : "=q"(v) : "r"(reg) : "memory");
	return v;
}
static inline u32 readl(const volatile void *reg)
{
	u32 v;

	__asm__ volatile("movl (%1), %0" : "=r"(v) : "r"(reg) : "memory");
	return v;
}
static inline void writel(volatile void *reg, u32 v)
{
	__asm__ volatile("movl %1, (%0)" ::"r"(reg), "r"(v) : "memory");
}
#endif
