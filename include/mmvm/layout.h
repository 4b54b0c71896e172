/*
 * The machine the guest sees: physical addresses, ports and interrupt lines.
 *
 * Part of the contract between the VMM and the guest kernel. Plain C, no includes beyond
 * <stdint.h>, usable on both sides. The device tree names the devices that exist; the numbers here
 * say where a device may be, so that both sides and the tests agree on the map.
 *
 *   0x0000_0000  RAM (low)      first MiB: boot GDT, boot page tables, FDT; kernel image from 1 MiB
 *   0xc000_0000  hole           virtio-mmio, DMA engine, shared window, IOAPIC, local APIC
 *   0x1_0000_0000 RAM (high)
 */
#ifndef MMVM_LAYOUT_H
#define MMVM_LAYOUT_H

#include <stdint.h>

/** Version of everything below include/mmvm/. The guest ELF carries it in a note; a mismatch is
 * refused. */
#define MMVM_CONTRACT_VERSION 1u
/** ELF note: owner "mmvm", type 1, description = little-endian u32 contract version. */
#define MMVM_NOTE_OWNER	   "mmvm"
#define MMVM_NOTE_CONTRACT 1u

#define MMVM_PAGE_SHIFT 12
#define MMVM_PAGE_SIZE	4096ull

/* RAM */
#define MMVM_RAM_LOW_MAX   0xc0000000ull  /* low RAM ends here at the latest */
#define MMVM_RAM_HIGH_BASE 0x100000000ull /* high RAM starts here */
#define MMVM_RAM_MIN	   (8ull << 20)	  /* least low RAM that mmvm accepts */

/* First MiB, written by the VMM before the first instruction and free for the guest to reuse after
 * it has built page tables, a GDT and a copy of the FDT of its own. */
#define MMVM_BOOT_GDT	   0x1000ull
#define MMVM_BOOT_PML4	   0x2000ull /* PML4, two PDPTs, four PDs of 2 MiB entries, PML5 */
#define MMVM_BOOT_PT_PAGES 8
#define MMVM_FDT_BASE	   0x10000ull
#define MMVM_FDT_MAX	   0x10000ull
#define MMVM_KERNEL_BASE   0x100000ull /* lowest p_paddr of the guest kernel */
/** Kernel half: virtual = physical + this, for the first GiB of physical memory. */
#define MMVM_KERNEL_VIRT 0xffffffff80000000ull

/* Selectors, in Linux's order (KVM-PVM's iretq demands these for user mode). */
#define MMVM_KERNEL_CS 0x10
#define MMVM_KERNEL_DS 0x18
#define MMVM_USER_DS   0x2b
#define MMVM_USER_CS   0x33
#define MMVM_TSS       0x40

/* The hole */
#define MMVM_VIRTIO_BASE   0xd0000000ull
#define MMVM_VIRTIO_STRIDE 0x1000ull
#define MMVM_VIRTIO_MAX	   15
/** Device i interrupts on GSI 9+i, edge triggered. Not 8: KVM takes that for the clock chip's line,
 * drops edges before the end of interrupt and wants to see every one. */
#define MMVM_VIRTIO_GSI 9
/** Devices with registers that need no more than a place: slot i has a window of a page at
 * MMVM_DEVICE_BASE + i * MMVM_DEVICE_STRIDE and GSI MMVM_DEVICE_GSI + i, edge triggered. */
#define MMVM_DEVICE_BASE   0xd0100000ull
#define MMVM_DEVICE_STRIDE 0x1000ull
#define MMVM_DEVICE_GSI	   5
#define MMVM_DEVICE_SLOTS  3
/* The DMA engine has slot 0. */
#define MMVM_DMAENGINE_BASE MMVM_DEVICE_BASE
#define MMVM_DMAENGINE_SIZE MMVM_DEVICE_STRIDE
/** Memory shared by VMM and guest (mmvm/shared.h); a memory slot of its own, no part of guest
 * RAM. */
#define MMVM_SHARED_BASE 0xd0200000ull
#define MMVM_SHARED_SIZE 0x100000ull
#define MMVM_IOAPIC_BASE 0xfec00000ull
#define MMVM_LAPIC_BASE	 0xfee00000ull

/* Places of virtio devices: disks have 0 to 7. */
#define MMVM_VIRTIO_BALLOON 8
#define MMVM_VIRTIO_RNG	    9
#define MMVM_VIRTIO_PMEM    10 /* and on, MMVM_MAX_PMEM of them */
#define MMVM_VIRTIO_CONSOLE 12
/** Files that are memory (virtio-pmem). Each lies above RAM, at a multiple of MMVM_PMEM_ALIGN from
 * 4 GiB on; its size is a multiple of MMVM_PMEM_UNIT, which Linux demands of a range of memory. */
#define MMVM_MAX_PMEM	2
#define MMVM_PMEM_ALIGN (1ull << 30)
#define MMVM_PMEM_UNIT	(2ull << 20)

/* Ports */
#define MMVM_SERIAL_PORT 0x3f8
#define MMVM_SERIAL_GSI	 4
/** Test channel: out(u32) = guest physical address of a record >> 4 (records are 16-byte
 * aligned). */
#define MMVM_TESTCHAN_PORT 0x600
/** Fast operations: out(u8) = vCPU number whose mailbox in the shared window holds the request. */
#define MMVM_FASTOP_PORT 0x610

#define MMVM_MAX_CPUS	     8
#define MMVM_MAX_NODES	     8
#define MMVM_MAX_RAM_REGIONS 16

/*
 * Device tree. Standard nodes (memory, cpus, chosen with bootargs, linux,initrd-start/-end,
 * rng-seed; "virtio,mmio" with reg and interrupts) plus, under /chosen:
 */
#define MMVM_FDT_ARGV	  "mmvm,argv"	/* stringlist: program to run, argv[0] is its initrd path */
#define MMVM_FDT_TEST	  "mmvm,test"	/* string: "suite.case" to run instead of a program */
#define MMVM_FDT_QUIRKS	  "mmvm,quirks" /* u32: MMVM_QUIRK_* */
#define MMVM_FDT_TSC_HZ	  "mmvm,tsc-hz" /* u64 */
#define MMVM_FDT_LAPIC_HZ "mmvm,lapic-hz" /* u64: local APIC timer input clock */
#define MMVM_FDT_EPOCH_NS "mmvm,epoch-ns" /* u64: wall clock at boot, ns since 1970 */
/** string: "tty" or "stream"; nothing: no input */
#define MMVM_FDT_CONSOLE   "mmvm,console-input"
#define MMVM_FDT_SEED	   "mmvm,seed" /* u64: seed for everything random in the guest */
#define MMVM_FDT_ROLE	   "mmvm,role" /* string on a virtio device: "swap", "disk0", "disk1" ... */
#define MMVM_FDT_READ_ONLY "read-only" /* u32 on a virtio-pmem: it can only be read */
/** On a cpu node that sleeps until MMVM_FASTOP_CPU_START wakes it. */
#define MMVM_FDT_ENABLE_FASTOP	 "mmvm,fastop"
#define MMVM_FDT_COMPAT_DMA	 "mmvm,dma-engine"
#define MMVM_FDT_COMPAT_FASTOP	 "mmvm,fastop"
#define MMVM_FDT_COMPAT_TRACE	 "mmvm,trace-port"
#define MMVM_FDT_COMPAT_SHARED	 "mmvm,shared"
#define MMVM_FDT_COMPAT_TESTCHAN "mmvm,testchan"

/** Ring 0 is emulated by the host (KVM-PVM): SYSCALL must land on a ud2, SYSRET faults. */
#define MMVM_QUIRK_SYSCALL_UD (1u << 0)
#define MMVM_QUIRK_NO_SYSRET  (1u << 1)
/** Clear and copy pages through MMVM_FASTOP_PORT: instructions are dear, exits cheap. */
#define MMVM_QUIRK_FASTOP (1u << 2)

#endif
