/*
 * Time and randomness.
 *
 * The clock is the TSC, whose rate the device tree gives; zero is the first instruction. Ticks
 * become nanoseconds by one multiplication: ns = ticks * ns_per_tick >> 32.
 *
 * Random numbers are determined by the seed in the device tree, so that a failing run can be repeated. The generator is
 * SplitMix64 (Steele, Lea, Flood 2014); each number costs one atomic addition.
 */
#include "arch/processor.h"
#include "arch/vdso.h"
#include "lib/env.h"
#include "kernel/boot_info.h"
#include "kernel/boot.h"
#include "kernel/vdso.h"

static u64 tsc_zero;
static u64 ns_per_tick; /* 32.32 fixed point; 0 until the rate is known: the clock stands at zero */
static u64 random_state;

void time_init_early(u64 tsc)
{
	tsc_zero = tsc;
}

void time_init(void)
{
	ns_per_tick = (1000000000ull << 32) / boot_info.tsc_hz;
	random_state = boot_info.seed;
}

u64 get_cycles(void)
{
	return rdtsc();
}

u64 boot_ticks(void)
{
	return rdtsc() - tsc_zero;
}

u64 ktime_ns(void)
{
	return (u64)(((unsigned __int128)(rdtsc() - tsc_zero) * ns_per_tick) >> 32);
}

void vdso_describe_clock(struct vdso_data *d)
{
	d->tsc_zero = tsc_zero;
	d->ns_per_tick = ns_per_tick;
	d->epoch_ns = boot_info.epoch_ns;
}

u64 get_random_u64(void)
{
	u64 z = atomic_add_return(&random_state, 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}
