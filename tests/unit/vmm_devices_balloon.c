/*
 * The balloon: what each queue does, and that the host really gets the memory back. Guest RAM is a memfd
 * here, whose blocks the kernel counts.
 */
#include "vmm_virtqueue_driver.h"
#include "../host/unit.h"
#include <linux/virtio_balloon.h>
#include <sys/stat.h>

#define NUM	16u
#define REQUEST 0x90000ull  /* frame numbers, statistics */
#define BLOCK	(64u << 10) /* of one report */

static struct rig rig;
static struct device *dev;
static struct drv_queue queue[5];
static int ram_fd;

static uint64_t resident(void)
{
	struct stat st;

	CU_ASSERT_EQUAL(fstat(ram_fd, &st), 0);
	return (uint64_t)st.st_blocks * 512 / 4096;
}

/* All RAM in one file, and all of it written. */
static void back_by_file(void)
{
	ram_fd = memfd_create("ram", MFD_CLOEXEC);
	CU_ASSERT_EQUAL_FATAL(ftruncate(ram_fd, 3 * MIB), 0);
	for (unsigned int i = 0; i < 3; i++) {
		uint8_t *p = rig.ram.region[i].hva;

		CU_ASSERT_PTR_EQUAL_FATAL(mmap(p, MIB, PROT_READ | PROT_WRITE,
					       MAP_SHARED | MAP_FIXED, ram_fd, (off_t)(i * MIB)),
					  p);
		memset(p, 0x5a, MIB);
	}
}

static void restart(uint64_t features)
{
	drv_start(&queue[0], &rig, dev, NUM, features);
	for (unsigned int q = 1; q < 5; q++)
		drv_queue_init(&queue[q], &rig, dev, q, NUM);
}

#define ALL_FEATURES                                                              \
	(1ull << VIRTIO_BALLOON_F_STATS_VQ | 1ull << VIRTIO_BALLOON_F_REPORTING | \
	 1ull << VIRTIO_BALLOON_F_DEFLATE_ON_OOM)

static void start(void)
{
	struct device_env env;
	struct virtio_balloon_params params = {.target = 7, .no_worker = true};

	rig_init(&rig);
	back_by_file();
	env = rig_env(&rig, "balloon");
	dev = virtio_balloon_create(&env, &params);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dev);
	restart(ALL_FEATURES);
}

static void stop(void)
{
	dev->model->destroy(dev);
	rig_exit(&rig);
	close(ram_fd);
}

static struct balloon_state state(void)
{
	struct balloon_state s;

	virtio_balloon_state(dev, &s);
	return s;
}

/* One buffer through a queue. Returns the head that came back, or -1. */
static int send(unsigned int q, uint64_t gpa, uint32_t len, uint16_t flags)
{
	drv_desc(&queue[q], 0, gpa, len, flags, 0);
	drv_avail(&queue[q], 0);
	virtio_balloon_poll(dev);
	return drv_used(&queue[q], NULL);
}

static int send_frames(unsigned int q, const uint32_t *pfn, unsigned int n)
{
	memcpy(at(&rig, REQUEST), pfn, n * sizeof(*pfn));
	return send(q, REQUEST, n * (uint32_t)sizeof(*pfn), 0);
}

static void test_in_and_out(void)
{
	/* Rising, falling, alone, the two regions that touch, above 4 GiB. */
	static const uint32_t pfn[] = {0xa0, 0xa1,  0xa2,  0xb5,     0xb4,     0xb3,
				       0xff, 0x100, 0x101, 0x100000, 0x1000ff, 0xc0};
	const unsigned int n = sizeof(pfn) / sizeof(pfn[0]);
	uint64_t before;

	start();
	before = resident();
	CU_ASSERT_EQUAL(send_frames(0, pfn, n), 0);
	CU_ASSERT_EQUAL(before - resident(), n);
	CU_ASSERT_EQUAL(state().pages, n);
	CU_ASSERT_EQUAL(state().given_back, n);
	CU_ASSERT_EQUAL(errors(dev), 0);
	for (unsigned int i = 0; i < n; i++) {
		uint64_t gpa = (uint64_t)pfn[i] << 12;

		CU_ASSERT(virtio_balloon_has(dev, gpa));
		CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, gpa + 17), 0);
	}
	CU_ASSERT(!virtio_balloon_has(dev, 0xa3000));
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, 0xa3000), 0x5a);
	CU_ASSERT(!virtio_balloon_has(dev, 2 * MIB));
	CU_ASSERT_EQUAL(send_frames(1, pfn, n), 0);
	CU_ASSERT_EQUAL(state().pages, 0);
	CU_ASSERT_EQUAL(state().deflated, n);
	CU_ASSERT(!virtio_balloon_has(dev, 0xa0000));
	CU_ASSERT_EQUAL(errors(dev), 0);
	stop();
}

static void test_wrong_frames_are_counted_and_change_nothing(void)
{
	static const uint32_t twice[] = {0xa0, 0xa0}, other[] = {0xa1},
			      wild[] = {0x200, 0xfffff, 0x100100, ~0u};
	uint64_t before;

	start();
	CU_ASSERT_EQUAL(send_frames(0, twice, 2), 0);
	CU_ASSERT_EQUAL(errors(dev), 1);
	CU_ASSERT_EQUAL(state().pages, 1);
	before = resident();
	CU_ASSERT_EQUAL(send_frames(0, wild, 4), 0);
	CU_ASSERT_EQUAL(errors(dev), 5);
	CU_ASSERT_EQUAL(send_frames(1, other, 1), 0);
	CU_ASSERT_EQUAL(errors(dev), 6);
	CU_ASSERT_EQUAL(state().pages, 1);
	CU_ASSERT_EQUAL(state().deflated, 0);
	CU_ASSERT_EQUAL(resident(), before);
	stop();
}

static void test_bad_requests_need_a_reset(void)
{
	static const struct {
		unsigned int queue;
		uint32_t len;
		uint16_t flags;
	} bad[] = {
		{0, 3, 0},
		{0, 6, 0},
		{1, 2, 0},
		{0, 4, VRING_DESC_F_WRITE},
		{1, 8, VRING_DESC_F_WRITE},
		{0, 65537 * 4, 0},
		{2, 650, 0},
		{2, 10, VRING_DESC_F_WRITE},
		{3, 4096, 0},
		{4, 4096, 0},
	};

	start();
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(send(bad[i].queue, REQUEST, bad[i].len, bad[i].flags), -1);
		CU_ASSERT(reg_read(dev, VIRTIO_MMIO_STATUS) & ST_NEEDS_RESET);
		CU_ASSERT_EQUAL(state().pages, 0);
		CU_ASSERT_EQUAL(state().nr_stats, 0);
		CU_ASSERT_EQUAL(state().reported, 0);
		restart(ALL_FEATURES);
	}
	stop();
}

static void test_configuration(void)
{
	const uint64_t config = VIRTIO_MMIO_CONFIG;
	uint32_t generation;
	uint16_t half = 1;

	start();
	CU_ASSERT_EQUAL(reg_read(dev, config), 7);
	generation = reg_read(dev, VIRTIO_MMIO_CONFIG_GENERATION);
	CU_ASSERT_EQUAL(virtio_balloon_set_target(dev, 9), 0);
	CU_ASSERT_EQUAL(reg_read(dev, config), 9);
	CU_ASSERT_NOT_EQUAL(reg_read(dev, VIRTIO_MMIO_CONFIG_GENERATION), generation);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	CU_ASSERT_EQUAL(virtio_balloon_set_target(dev, 3 * RAM_PAGES + 1), -EINVAL);
	CU_ASSERT_EQUAL(state().target, 9);
	/* `actual` is the driver's, and nothing else is. */
	reg_write(dev, config + 4, 5);
	CU_ASSERT_EQUAL(state().actual, 5);
	CU_ASSERT_EQUAL(reg_read(dev, config + 4), 5);
	CU_ASSERT_EQUAL(errors(dev), 0);
	reg_write(dev, config, 1);
	reg_write(dev, config + 8, 1);
	reg_write(dev, config + 12, 1);
	reg_write(dev, config + 16, 1);
	dev->model->write(dev, config + 4, 2, &half);
	dev->model->write(dev, ~0ull, 4, &generation);
	CU_ASSERT_EQUAL(errors(dev), 6);
	CU_ASSERT_EQUAL(reg_read(dev, config), 9);
	CU_ASSERT_EQUAL(state().actual, 5);
	stop();
}

static void put_stat(unsigned int i, uint16_t tag, uint64_t val)
{
	const struct virtio_balloon_stat s = {.tag = tag, .val = val};

	memcpy(at(&rig, REQUEST + i * sizeof(s)), &s, sizeof(s));
}

static void test_statistics_wait_until_they_are_asked_for(void)
{
	start();
	put_stat(0, VIRTIO_BALLOON_S_MEMFREE, 111);
	put_stat(1, 999, 5); /* a tag of the future */
	CU_ASSERT_EQUAL(send(2, REQUEST, 20, 0), -1);
	CU_ASSERT_EQUAL(state().nr_stats, 1);
	CU_ASSERT_EQUAL(state().stat[VIRTIO_BALLOON_S_MEMFREE], 111);
	CU_ASSERT_EQUAL(state().stat_there, 1u << VIRTIO_BALLOON_S_MEMFREE);
	virtio_balloon_ask_stats(dev);
	CU_ASSERT_EQUAL(drv_used(&queue[2], NULL), 0);
	CU_ASSERT(reg_read(dev, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_VRING);
	/* Asked again before the guest has sent: it comes back at once. */
	virtio_balloon_ask_stats(dev);
	CU_ASSERT_EQUAL(send(2, REQUEST, 20, 0), 0);
	/* A second buffer replaces the first. */
	CU_ASSERT_EQUAL(send(2, REQUEST, 10, 0), -1);
	drv_desc(&queue[2], 1, REQUEST, 10, 0, 0);
	drv_avail(&queue[2], 1);
	virtio_balloon_poll(dev);
	CU_ASSERT_EQUAL(drv_used(&queue[2], NULL), 0);
	CU_ASSERT_EQUAL(drv_used(&queue[2], NULL), -1);
	/* What was kept is forgotten with its queue. */
	reg_write(dev, VIRTIO_MMIO_QUEUE_SEL, 2);
	reg_write(dev, VIRTIO_MMIO_QUEUE_READY, 0);
	virtio_balloon_ask_stats(dev);
	CU_ASSERT_EQUAL(drv_used(&queue[2], NULL), -1);
	restart(ALL_FEATURES);
	virtio_balloon_ask_stats(dev);
	CU_ASSERT_EQUAL(drv_used(&queue[2], NULL), -1);
	stop();
}

static void test_reported_pages_are_given_back(void)
{
	start();
	for (unsigned int q = 3; q < 5; q++) {
		uint64_t before = resident(), gpa = 0xa0000 + 2 * (q - 3) * BLOCK;

		/* Whole pages of it. */
		CU_ASSERT_EQUAL(send(q, gpa - 512, BLOCK + 512, VRING_DESC_F_WRITE), 0);
		CU_ASSERT_EQUAL(before - resident(), BLOCK / 4096);
		CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, gpa - 1), 0x5a);
		CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, gpa), 0);
		CU_ASSERT(!virtio_balloon_has(dev, gpa));
	}
	CU_ASSERT_EQUAL(state().reported, 2 * BLOCK / 4096);
	CU_ASSERT_EQUAL(state().pages, 0);
	stop();
}

/* Behind the RAM are pages of 64 KiB, say: no part of one is given back. */
static void test_huge_pages_go_when_they_are_whole(void)
{
	uint32_t pfn[16];
	uint64_t before;

	start();
	for (unsigned int i = 0; i < 3; i++)
		rig.ram.region[i].page_size = BLOCK;
	for (uint32_t i = 0; i < 16; i++)
		pfn[i] = 0xa0 + 15 - i;
	before = resident();
	CU_ASSERT_EQUAL(send_frames(0, pfn, 15), 0);
	CU_ASSERT_EQUAL(resident(), before);
	CU_ASSERT_EQUAL(state().pages, 15);
	CU_ASSERT_EQUAL(send_frames(0, pfn + 15, 1), 0);
	CU_ASSERT_EQUAL(before - resident(), 16);
	CU_ASSERT_EQUAL(state().given_back, 16);
	stop();
}

static void test_a_reset_empties_the_balloon(void)
{
	static const uint32_t pfn[] = {0xa0, 0xa1};

	start();
	CU_ASSERT_EQUAL(send_frames(0, pfn, 2), 0);
	reg_write(dev, VIRTIO_MMIO_CONFIG + 4, 2);
	restart(ALL_FEATURES);
	CU_ASSERT_EQUAL(state().pages, 0);
	CU_ASSERT_EQUAL(state().actual, 0);
	CU_ASSERT_EQUAL(state().target, 7);
	CU_ASSERT(!virtio_balloon_has(dev, 0xa0000));
	CU_ASSERT_EQUAL(send_frames(0, pfn, 2), 0);
	CU_ASSERT_EQUAL(state().pages, 2);
	CU_ASSERT_EQUAL(errors(dev), 0);
	stop();
}

/* RAM that cannot have holes: the guest notices nothing, the host counts it. */
static void test_memory_that_cannot_be_given_back(void)
{
	static const uint32_t pfn[] = {0x100000};

	start();
	CU_ASSERT_NOT_EQUAL(mmap(rig.ram.region[2].hva, MIB, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			    MAP_FAILED);
	CU_ASSERT_EQUAL(send_frames(0, pfn, 1), 0);
	CU_ASSERT_EQUAL(state().pages, 1);
	CU_ASSERT_EQUAL(state().given_back, 0);
	CU_ASSERT_EQUAL(state().refused, 1);
	CU_ASSERT_EQUAL(state().refused_errno, EINVAL);
	stop();
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(test_in_and_out),
		UNIT_CASE(test_wrong_frames_are_counted_and_change_nothing),
		UNIT_CASE(test_bad_requests_need_a_reset),
		UNIT_CASE(test_configuration),
		UNIT_CASE(test_statistics_wait_until_they_are_asked_for),
		UNIT_CASE(test_reported_pages_are_given_back),
		UNIT_CASE(test_huge_pages_go_when_they_are_whole),
		UNIT_CASE(test_a_reset_empties_the_balloon),
		UNIT_CASE(test_memory_that_cannot_be_given_back),
	};

	return unit_run("balloon", cases, sizeof(cases) / sizeof(cases[0]));
}
