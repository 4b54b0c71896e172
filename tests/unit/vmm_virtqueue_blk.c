/*
 * The disk: each request type, its limits, its errors and its statistics; then the worker, with
 * random requests against a model, and resets in the middle of them.
 */
#include "vmm_virtqueue_driver.h"
#include "../host/unit.h"
#include <linux/falloc.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct rig rig;
static struct device *dev;
static int fd;
static struct drv_queue q;

#define DATA 0xa0000ull

static void start(bool read_only)
{
	rig_init(&rig);
	fd = disk_file();
	dev = disk_create(&rig, fd, 1, false, read_only);
	drv_start(&q, &rig, dev, 16, INDIRECT);
}

static void stop(void)
{
	CU_ASSERT(disk_tail_intact(fd));
	dev->model->destroy(dev);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), -1); /* closed */
	rig_exit(&rig);
}

static uint8_t file_byte(uint64_t offset)
{
	uint8_t b = 0;

	CU_ASSERT_EQUAL(pread(fd, &b, 1, (off_t)offset), 1);
	return b;
}

static void test_read_and_write(void)
{
	struct mmvm_disk_stats st;
	uint8_t *data;

	start(false);
	data = at(&rig, DATA);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_IN, 8, DATA, 4096), VIRTIO_BLK_S_OK);
	for (unsigned int i = 0; i < 4096; i++)
		CU_ASSERT_EQUAL_FATAL(data[i], disk_byte(4096 + i));
	memset(data, 0x3c, 4096);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_OUT, 16, DATA, 4096), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(file_byte(8191), disk_byte(8191));
	CU_ASSERT_EQUAL(file_byte(8192), 0x3c);
	CU_ASSERT_EQUAL(file_byte(12287), 0x3c);
	CU_ASSERT_EQUAL(file_byte(12288), disk_byte(12288));
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
	virtio_blk_stats(dev, &st);
	CU_ASSERT_EQUAL(st.reads, 1);
	CU_ASSERT_EQUAL(st.writes, 1);
	CU_ASSERT_EQUAL(st.flushes, 1);
	CU_ASSERT_EQUAL(st.sectors_read, 8);
	CU_ASSERT_EQUAL(st.sectors_written, 8);
	CU_ASSERT_EQUAL(st.errors, 0);
	stop();
}

static void test_dirty_pages_are_those_written(void)
{
	start(false);
	clear_dirty(&rig);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_IN, 0, HIGH_BASE + 0x1000, 8192), 0);
	CU_ASSERT(page_dirty(&rig, HIGH_BASE + 0x1000));
	CU_ASSERT(page_dirty(&rig, HIGH_BASE + 0x2000));
	CU_ASSERT(page_dirty(&rig, META));
	CU_ASSERT(page_dirty(&rig, QUEUE_BASE(0) + 0x8000));
	CU_ASSERT_EQUAL(count_dirty(&rig), 4);
	clear_dirty(&rig);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_OUT, 0, HIGH_BASE + 0x1000, 8192), 0);
	CU_ASSERT_EQUAL(count_dirty(&rig), 2); /* status and used ring only */
	stop();
}

static void test_range_is_checked_before_any_byte(void)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
	} bad[] = {
		{DISK_SECTORS, 512},
		{DISK_SECTORS - 1, 1024},
		{~0ull, 512},
		{~0ull >> 9, 512},
		{(~0ull >> 9) + 1, 512},
		{1ull << 63, 512},
		{0, 511},
		{0, 513},
		{0, 1},
		{0, DISK_SIZE + 512},
		{DISK_SECTORS + 8, 512},
		{DISK_SECTORS - 7, 4096},
	};
	struct mmvm_disk_stats st;
	uint8_t *data;

	start(false);
	data = at(&rig, DATA);
	memset(data, 0x77, 0x42000);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_IN, bad[i].sector, DATA, bad[i].len),
				VIRTIO_BLK_S_IOERR);
		CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_OUT, bad[i].sector, DATA, bad[i].len),
				VIRTIO_BLK_S_IOERR);
	}
	for (unsigned int i = 0; i < 0x42000; i++)
		CU_ASSERT_EQUAL_FATAL(data[i], 0x77);
	for (unsigned int i = 0; i < DISK_SIZE; i += 128)
		CU_ASSERT_EQUAL_FATAL(file_byte(i), disk_byte(i));
	virtio_blk_stats(dev, &st);
	CU_ASSERT_EQUAL(st.errors, 2 * sizeof(bad) / sizeof(bad[0]));
	CU_ASSERT_EQUAL(st.reads + st.writes, 0);
	/* The last sector is fine, and so is nothing at all. */
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_IN, DISK_SECTORS - 1, DATA, 512), 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_IN, DISK_SECTORS, DATA, 0), 0);
	CU_ASSERT(!(reg_read(dev, VIRTIO_MMIO_STATUS) & ST_NEEDS_RESET));
	stop();
}

/* A request larger than any the device says it takes is refused, not begun: 250 descriptors that
 * all name the same MiB would be 250 MiB. */
static void test_request_size_is_bounded(void)
{
	struct vring_desc d = {.flags = VRING_DESC_F_NEXT};
	struct virtio_blk_outhdr hdr = {.type = VIRTIO_BLK_T_OUT};

	start(false);
	memcpy(at(&rig, META), &hdr, sizeof(hdr));
	for (uint16_t i = 0; i < 252; i++) {
		d = (struct vring_desc){.addr = i ? HIGH_BASE : META,
					.len = i ? MIB : 16,
					.flags = VRING_DESC_F_NEXT,
					.next = i + 1};
		if (i == 251)
			d = (struct vring_desc){
				.addr = META + 16, .len = 1, .flags = VRING_DESC_F_WRITE};
		memcpy(at(&rig, 0xb0000 + 16 * i), &d, 16);
	}
	virtio_blk_resize(dev, 1ull << 40);
	drv_desc(&q, 0, 0xb0000, 252 * 16, VRING_DESC_F_INDIRECT, 0);
	drv_avail(&q, 0);
	CU_ASSERT_EQUAL(virtio_blk_poll(dev), 1);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, META + 16), VIRTIO_BLK_S_IOERR);
	stop();
}

static void test_get_id(void)
{
	char id[64];

	start(false);
	memset(at(&rig, DATA), 0x55, 64);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_GET_ID, 0, DATA, 20), VIRTIO_BLK_S_OK);
	memcpy(id, at(&rig, DATA), 64);
	CU_ASSERT_STRING_EQUAL(id, "mmvm-disk0");
	CU_ASSERT_EQUAL(id[19], 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_GET_ID, 0, DATA, 64), VIRTIO_BLK_S_OK);
	memcpy(id, at(&rig, DATA), 64);
	CU_ASSERT_EQUAL(id[20], 0x55);
	memset(at(&rig, DATA), 0x55, 64);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_GET_ID, 0, DATA, 4), VIRTIO_BLK_S_OK);
	memcpy(id, at(&rig, DATA), 64);
	CU_ASSERT(memcmp(id, "mmvm\x55", 5) == 0);
	stop();
}

static void test_unknown_types(void)
{
	static const uint32_t type[] = {2, 3, 5, 9, 12, 0x80000000, 0xffffffff};

	start(false);
	for (unsigned int i = 0; i < sizeof(type) / sizeof(type[0]); i++)
		CU_ASSERT_EQUAL(drv_do(&q, type[i], 0, DATA, 512), VIRTIO_BLK_S_UNSUPP);
	stop();
}

static void test_read_only(void)
{
	start(true);
	reg_write(dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	CU_ASSERT(reg_read(dev, VIRTIO_MMIO_DEVICE_FEATURES) >> VIRTIO_BLK_F_RO & 1);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_IN, 0, DATA, 512), VIRTIO_BLK_S_OK);
	memset(at(&rig, DATA), 0, 4096);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_OUT, 0, DATA, 512), VIRTIO_BLK_S_IOERR);
	((struct virtio_blk_discard_write_zeroes *)at(&rig, DATA))->num_sectors = 8;
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_DISCARD, 0, DATA, 16), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_WRITE_ZEROES, 0, DATA, 16), VIRTIO_BLK_S_IOERR);
	for (unsigned int i = 0; i < 8192; i++)
		CU_ASSERT_EQUAL_FATAL(file_byte(i), disk_byte(i));
	stop();
}

/* The file shrank behind our back: what is not there is an error, never stale bytes. */
static void test_short_file_is_an_error(void)
{
	start(false);
	CU_ASSERT_EQUAL(ftruncate(fd, 4096 + 100), 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_IN, 0, DATA, 4096), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_IN, 8, DATA, 512), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_IN, 7, DATA, 4096), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_IN, 100, DATA, 512), VIRTIO_BLK_S_IOERR);
	dev->model->destroy(dev);
	rig_exit(&rig);
}

static void put_range(unsigned int i, uint64_t sector, uint32_t n, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes r = {
		.sector = sector, .num_sectors = n, .flags = flags};

	memcpy(at(&rig, DATA + 16 * i), &r, 16);
}

/* The descriptor cannot be written to at all: the errno of the host becomes IOERR. */
static void test_host_errors_are_ioerr(void)
{
	struct device_env env;
	struct virtio_blk_params params = {.size = DISK_SIZE, .no_worker = true};

	rig_init(&rig);
	env = rig_env(&rig, "disk0");
	params.fd = open("/dev/full", O_RDWR | O_CLOEXEC);
	CU_ASSERT_FATAL(params.fd >= 0);
	dev = virtio_blk_create(&env, &params);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dev);
	drv_start(&q, &rig, dev, 16, 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_OUT, 0, DATA, 512), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_IOERR);
	CU_ASSERT(!(reg_read(dev, VIRTIO_MMIO_STATUS) & ST_NEEDS_RESET));
	put_range(0, 0, 8, 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_WRITE_ZEROES, 0, DATA, 16), VIRTIO_BLK_S_IOERR);
	dev->model->destroy(dev);
	rig_exit(&rig);
}

static blkcnt_t blocks(void)
{
	struct stat st;

	fstat(fd, &st);
	return st.st_blocks;
}

static void test_discard_and_write_zeroes(void)
{
	struct mmvm_disk_stats stats;
	blkcnt_t before;

	start(false);
	before = blocks();
	put_range(0, 8, 8, 0);
	put_range(1, 32, 16, 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_DISCARD, 0, DATA, 32), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(blocks(), before - 24); /* holes: 3 pages of 8 blocks */
	CU_ASSERT_EQUAL(file_byte(4095), disk_byte(4095));
	CU_ASSERT_EQUAL(file_byte(4096), 0);
	CU_ASSERT_EQUAL(file_byte(8191), 0);
	CU_ASSERT_EQUAL(file_byte(8192), disk_byte(8192));
	CU_ASSERT_EQUAL(file_byte(32 * 512), 0);

	put_range(0, 65, 3, 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_WRITE_ZEROES, 0, DATA, 16), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(file_byte(65 * 512 - 1), disk_byte(65 * 512 - 1));
	for (unsigned int i = 65 * 512; i < 68 * 512; i++)
		CU_ASSERT_EQUAL_FATAL(file_byte(i), 0);
	CU_ASSERT_EQUAL(file_byte(68 * 512), disk_byte(68 * 512));
	put_range(0, 80, 8, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_WRITE_ZEROES, 0, DATA, 16), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(blocks(), before - 32);
	virtio_blk_stats(dev, &stats);
	CU_ASSERT_EQUAL(stats.discards, 3);
	stop();
}

static void test_discard_checks_all_before_the_first(void)
{
	start(false);
	put_range(0, 0, 8, 0);
	put_range(1, DISK_SECTORS - 1, 2, 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_DISCARD, 0, DATA, 32), VIRTIO_BLK_S_IOERR);
	put_range(1, ~0ull, 2, 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_DISCARD, 0, DATA, 32), VIRTIO_BLK_S_IOERR);
	put_range(1, 8, 0, 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_DISCARD, 0, DATA, 32), VIRTIO_BLK_S_IOERR);
	put_range(1, 8, 0xffffffff, 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_WRITE_ZEROES, 0, DATA, 32), VIRTIO_BLK_S_IOERR);
	put_range(1, 8, 8, 1); /* unmap is no flag of discard */
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_DISCARD, 0, DATA, 32), VIRTIO_BLK_S_UNSUPP);
	put_range(1, 8, 8, 2);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_WRITE_ZEROES, 0, DATA, 32), VIRTIO_BLK_S_UNSUPP);
	put_range(1, 8, 8, 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_DISCARD, 0, DATA, 31), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_DISCARD, 0, DATA, 0), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_DISCARD, 0, DATA, 17 * 16), VIRTIO_BLK_S_IOERR);
	virtio_blk_resize(dev, 1ull << 40); /* only the bound on one range is in the way */
	put_range(0, 0, (16u << 20) / 512 + 1, 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_DISCARD, 0, DATA, 16), VIRTIO_BLK_S_IOERR);
	for (unsigned int i = 0; i < 8192; i++)
		CU_ASSERT_EQUAL_FATAL(file_byte(i), disk_byte(i));
	stop();
}

static void test_injected_faults(void)
{
	struct mmvm_disk_stats st;

	start(false);
	CU_ASSERT_EQUAL(virtio_blk_inject(dev, 0, 1), -EINVAL);
	CU_ASSERT_EQUAL(virtio_blk_inject(dev, 3, 2), 0);
	memset(at(&rig, DATA), 0x77, 512);
	for (int i = 1; i <= 6; i++)
		CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_OUT, i, DATA, 512),
				i == 3 || i == 4 ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
	for (unsigned int i = 1; i <= 6; i++)
		CU_ASSERT_EQUAL(file_byte(i * 512), i == 3 || i == 4 ? disk_byte(i * 512) : 0x77);
	CU_ASSERT_EQUAL(virtio_blk_inject(dev, 1, 100), 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_IN, 0, DATA, 512), VIRTIO_BLK_S_IOERR);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, DATA), 0x77); /* nothing was read */
	CU_ASSERT_EQUAL(virtio_blk_inject(dev, 0, 0), 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_IN, 0, DATA, 512), VIRTIO_BLK_S_OK);
	virtio_blk_stats(dev, &st);
	CU_ASSERT_EQUAL(st.errors, 3);
	CU_ASSERT_EQUAL(st.writes, 4);
	CU_ASSERT_EQUAL(st.reads, 1);
	stop();
}

/* What the machine asks for and cannot have: NULL, errno, the disk's descriptor still the caller's,
 * and no descriptor lost. */
static void test_creation_can_fail(void)
{
	struct virtio_blk_params params = {.size = DISK_SIZE, .num_queues = 9};
	struct rlimit old, low;
	struct device_env env;
	unsigned int failed = 0;
	int first;

	rig_init(&rig);
	env = rig_env(&rig, "disk0");
	params.fd = fd = disk_file();
	CU_ASSERT_PTR_NULL(virtio_blk_create(&env, &params));
	CU_ASSERT_EQUAL(errno, EINVAL);
	params.num_queues = 8;
	params.size = ~0ull;
	CU_ASSERT_PTR_NULL(virtio_blk_create(&env, &params));
	CU_ASSERT_EQUAL(errno, EINVAL);
	params.size = DISK_SIZE;
	getrlimit(RLIMIT_NOFILE, &old);
	first = dup(0);
	close(first);
	/* One descriptor more at each try, until the nine it needs are there. */
	for (dev = NULL; !dev && failed < 100; failed += !dev) {
		low = (struct rlimit){.rlim_cur = (rlim_t)first + failed, .rlim_max = old.rlim_max};
		setrlimit(RLIMIT_NOFILE, &low);
		dev = virtio_blk_create(&env, &params);
		setrlimit(RLIMIT_NOFILE, &old);
		if (!dev) {
			CU_ASSERT_EQUAL(errno, EMFILE);
			CU_ASSERT(fcntl(fd, F_GETFD) >= 0);
			CU_ASSERT_EQUAL(dup(0), first); /* none was lost */
			close(first);
		}
	}
	CU_ASSERT(failed >= 9);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dev);
	stop();
}

/* ---- with the worker ---------------------------------------------- */

static uint64_t rng_state;
static uint32_t rng(void)
{
	return noise(&rng_state);
}

#define QUEUES 3
#define SLOTS  8 /* requests in flight a queue: three descriptors each, of 32 */

/* A model of the disk: one byte a sector says what fills it. Requests in flight never overlap, as a
 * driver that cares for its data would have it. */
static uint8_t model[DISK_SECTORS];
static bool locked[DISK_SECTORS];
struct slot {
	bool busy, write;
	uint32_t sector, n;
	uint8_t fill;
};

static uint64_t slot_page(unsigned int qi, unsigned int s)
{
	return (qi & 1 ? HIGH_BASE : MIB) + (qi * SLOTS + s) * 0x2000ull;
}

static void submit(struct drv_queue *dq, struct slot *slot, unsigned int s)
{
	uint64_t data = slot_page(dq->index, s);

	slot->write = rng() & 1;
	slot->n = 1 + rng() % 8;
	slot->sector = rng() % (DISK_SECTORS - slot->n);
	slot->fill = (uint8_t)rng();
	for (uint32_t i = 0; i < slot->n; i++)
		if (locked[slot->sector + i])
			return; /* another time */
	for (uint32_t i = 0; i < slot->n; i++)
		locked[slot->sector + i] = true;
	slot->busy = true;
	memset(at(&rig, data), slot->write ? slot->fill : 0xdd, slot->n * 512);
	drv_request(dq, (uint16_t)(3 * s), data + 0x1000,
		    slot->write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, slot->sector, data,
		    slot->n * 512);
	drv_avail(dq, (uint16_t)(3 * s));
}

/* Check a completion against the model. */
static void complete(struct drv_queue *dq, struct slot *slots, int head, uint32_t len)
{
	struct slot *slot = &slots[head / 3];
	uint64_t data = slot_page(dq->index, (unsigned int)head / 3);
	uint8_t *bytes = at(&rig, data);

	CU_ASSERT_EQUAL_FATAL(head % 3, 0);
	CU_ASSERT_FATAL(slot->busy); /* completed once */
	CU_ASSERT_EQUAL_FATAL(*(uint8_t *)at(&rig, data + 0x1010), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL_FATAL(len, slot->write ? 1 : slot->n * 512 + 1);
	for (uint32_t i = 0; i < slot->n; i++) {
		if (slot->write)
			model[slot->sector + i] = slot->fill;
		else
			for (int k = 0; k < 512; k++)
				CU_ASSERT_EQUAL_FATAL(bytes[i * 512 + k], model[slot->sector + i]);
		locked[slot->sector + i] = false;
	}
	slot->busy = false;
}

/* Random reads and writes on three queues, doorbells and interrupts only as the event indices ask
 * for them: a lost one would hang, and wait_irq() says so. */
static void test_random_requests_through_the_worker(void)
{
	static struct slot slots[QUEUES][SLOTS];
	struct drv_queue dq[QUEUES];
	struct mmvm_disk_stats st;
	unsigned int submitted = 0, completed = 0, in_flight = 0;
	uint16_t old;
	uint32_t len;
	int head;

	rng_state = 20261121;
	rig_init(&rig);
	fd = disk_file();
	memset(model, 0, sizeof(model));
	memset(locked, 0, sizeof(locked));
	memset(slots, 0, sizeof(slots));
	CU_ASSERT_EQUAL(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, DISK_SIZE), 0);
	dev = disk_create(&rig, fd, QUEUES, true, false);
	CU_ASSERT_EQUAL(dev->nr_notify, QUEUES);
	CU_ASSERT_EQUAL(drv_features(dev, VERSION_1 | EVENT_IDX), ST_FEATURES_OK);
	for (unsigned int i = 0; i < QUEUES; i++)
		drv_queue_init(&dq[i], &rig, dev, i, 32);
	reg_write(dev, VIRTIO_MMIO_STATUS, ST_DRIVER_OK);

	while (completed < 20000) {
		for (unsigned int i = 0; i < QUEUES; i++) {
			old = dq[i].next_avail;
			for (unsigned int s = 0; s < SLOTS; s++)
				if (!slots[i][s].busy && (rng() & 3))
					submit(&dq[i], &slots[i][s], s);
			submitted += (uint16_t)(dq[i].next_avail - old);
			in_flight += (uint16_t)(dq[i].next_avail - old);
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			if (dq[i].next_avail != old &&
			    vring_need_event(__atomic_load_n(avail_event(&dq[i]), __ATOMIC_RELAXED),
					     dq[i].next_avail, old))
				eventfd_write(dev->notify_fd[i], 1); /* as KVM's ioeventfd does */
		}
		do {
			old = (uint16_t)in_flight;
			for (unsigned int i = 0; i < QUEUES; i++) {
				while ((head = drv_used(&dq[i], &len)) >= 0) {
					complete(&dq[i], slots[i], head, len);
					completed++;
					in_flight--;
				}
				__atomic_store_n(used_event(&dq[i]), dq[i].next_used,
						 __ATOMIC_RELAXED);
			}
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			for (unsigned int i = 0; i < QUEUES; i++)
				if (used_idx(&dq[i]) != dq[i].next_used)
					old = 0xffff; /* came meanwhile: look again */
		} while (old == 0xffff);
		if (in_flight == QUEUES * SLOTS || (in_flight && rng() % 2))
			CU_ASSERT_FATAL(wait_irq(&rig));
	}
	while (in_flight) {
		for (unsigned int i = 0; i < QUEUES; i++) {
			while ((head = drv_used(&dq[i], &len)) >= 0) {
				complete(&dq[i], slots[i], head, len);
				completed++;
				in_flight--;
			}
		}
		usleep(100);
	}
	CU_ASSERT_EQUAL(submitted, completed);
	virtio_blk_stats(dev, &st);
	CU_ASSERT_EQUAL(st.reads + st.writes, completed);
	CU_ASSERT_EQUAL(st.errors, 0);
	CU_ASSERT_EQUAL(errors(dev), 0);
	for (unsigned int i = 0; i < DISK_SECTORS; i++)
		CU_ASSERT_EQUAL_FATAL(file_byte(i * 512 + i % 512), model[i]);
	stop();
}

/*
 * Holding the worker in the middle of a batch: it raises an interrupt after some completions, and
 * the line's raise() is ours. It says that it is there and goes on a moment after the test lets it.
 */
static struct {
	bool armed, inside, go; /* atomic */
} gate;

static void gate_raise(struct irq_line *line)
{
	test_irq_raise(line);
	if (!__atomic_exchange_n(&gate.armed, false, __ATOMIC_ACQ_REL))
		return;
	__atomic_store_n(&gate.inside, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&gate.go, __ATOMIC_ACQUIRE))
		usleep(20);
	usleep(500); /* for the other thread to get from the flag to the device's lock */
}

static void gate_arm(void)
{
	gate.inside = gate.go = false;
	__atomic_store_n(&gate.armed, true, __ATOMIC_RELEASE);
}

/* Wait until the worker is at the gate, and let it go on soon. */
static void gate_pass(void)
{
	while (!__atomic_load_n(&gate.inside, __ATOMIC_ACQUIRE))
		usleep(20);
	__atomic_store_n(&gate.go, true, __ATOMIC_RELEASE);
}

#define BATCH 85 /* requests of three descriptors in a ring of 256 */

/* Many requests at once: each reads the whole disk to the same place. */
static void submit_batch(void)
{
	for (uint16_t i = 0; i < BATCH; i++) {
		drv_request(&q, (uint16_t)(3 * i), META + 32 * i, VIRTIO_BLK_T_IN, 0, MIB,
			    DISK_SIZE);
		drv_avail(&q, (uint16_t)(3 * i));
	}
	drv_notify(&q);
}

/* When the write that resets, or stops the queue, has returned, no byte of guest memory changes any
 * more. Half of the rounds come at any moment, half surely in the middle. */
static void test_reset_in_the_middle(void)
{
	unsigned int midway = 0;
	bool quiet = true;
	eventfd_t n;
	uint8_t *ram;

	rig_init(&rig);
	rig.irq.line.raise = gate_raise;
	fd = disk_file();
	dev = disk_create(&rig, fd, 1, true, false);
	ram = at(&rig, MIB);
	for (unsigned int round = 0; round < 120; round++) {
		drv_start(&q, &rig, dev, 256, 0);
		if (round & 1)
			gate_arm();
		submit_batch();
		if (round & 1)
			gate_pass();
		else
			while (used_idx(&q) < round % 8)
				;
		if (round % 3 == 0)
			reg_write(dev, VIRTIO_MMIO_STATUS, 0);
		else if (round % 3 == 1)
			reg_write(dev, VIRTIO_MMIO_QUEUE_READY, 0);
		else
			dev->model->reset(dev);
		midway += (round & 1) && used_idx(&q) < BATCH;
		memset(ram, 0x99, DISK_SIZE);
		memset(at(&rig, QUEUE_BASE(0) + 0x8000), 0x99, 0x1000);
		eventfd_read(rig.irq.fd, &n);
		usleep(300);
		for (unsigned int i = 0; i < DISK_SIZE; i += 256)
			quiet = quiet && ram[i] == 0x99;
		quiet = quiet && *(uint8_t *)at(&rig, QUEUE_BASE(0) + 0x8002) == 0x99;
		quiet = quiet && eventfd_read(rig.irq.fd, &n) != 0;
		CU_ASSERT_FATAL(quiet);
	}
	CU_ASSERT(midway >= 20);
	stop();
}

static bool wait_used(struct drv_queue *dq, uint16_t idx)
{
	for (unsigned int tries = 0; tries < 10000; tries++) {
		if (used_idx(dq) == idx)
			return true;
		usleep(1000);
	}
	return false;
}

/* Pages of the buffer that differ from the pattern although they are not marked, or are marked and do not. They have the
 * pattern again afterwards. */
static unsigned int wrong_marks(uint8_t *ram)
{
	unsigned int wrong = 0;

	for (uint64_t at = 0; at < DISK_SIZE; at += 4096) {
		bool changed = false;

		for (unsigned int i = 0; i < 4096; i++)
			changed |= ram[at + i] != 0x99;
		wrong += changed != page_dirty(&rig, MIB + at);
	}
	memset(ram, 0x99, DISK_SIZE);
	clear_dirty(&rig);
	return wrong;
}

/* Who holds devices finds every write with its mark, and nothing changes until they are released. */
static void test_held_between_writes(void)
{
	unsigned int wrong = 0, midway = 0;
	uint16_t done = 0, before;
	uint8_t *ram;

	rig_init(&rig);
	fd = disk_file();
	dev = disk_create(&rig, fd, 1, true, false);
	ram = at(&rig, MIB);
	drv_start(&q, &rig, dev, 256, 0);
	for (unsigned int round = 0; round < 20; round++) {
		guest_ram_hold(&rig.ram);
		memset(ram, 0x99, DISK_SIZE);
		clear_dirty(&rig);
		submit_batch();
		usleep(500);
		CU_ASSERT_EQUAL(used_idx(&q), done);
		CU_ASSERT_EQUAL(count_dirty(&rig), 0);
		wrong += wrong_marks(ram);
		guest_ram_release(&rig.ram);
		do {
			usleep(50);
			guest_ram_hold(&rig.ram);
			before = (uint16_t)(used_idx(&q) - done);
			midway += before > 0 && before < BATCH;
			wrong += wrong_marks(ram);
			guest_ram_release(&rig.ram);
		} while (before < BATCH);
		done = (uint16_t)(done + BATCH);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	printf("[%u looks in the middle] ", midway);
	stop();
}

/* Setting up one queue interrupts the work on another; what was left is taken up again without a
 * second doorbell. */
static void test_a_queue_set_up_beside_a_busy_one(void)
{
	struct drv_queue other;
	unsigned int midway = 0;

	rig_init(&rig);
	rig.irq.line.raise = gate_raise;
	fd = disk_file();
	dev = disk_create(&rig, fd, 2, true, false);
	for (unsigned int round = 0; round < 20; round++) {
		drv_start(&q, &rig, dev, 256, 0);
		gate_arm();
		submit_batch();
		gate_pass();
		drv_queue_init(&other, &rig, dev, 1, 8);
		midway += used_idx(&q) < BATCH;
		CU_ASSERT_FATAL(wait_used(&q, BATCH));
		drv_request(&other, 0, META, VIRTIO_BLK_T_FLUSH, 0, 0, 0);
		drv_avail(&other, 0);
		drv_notify(&other);
		CU_ASSERT_FATAL(wait_used(&other, 1));
	}
	CU_ASSERT(midway >= 4);
	stop();
}

/* Destroying a device with work in its queue does not wait for the guest. */
static void test_destroy_while_busy(void)
{
	for (unsigned int round = 0; round < 50; round++) {
		rig_init(&rig);
		fd = disk_file();
		dev = disk_create(&rig, fd, 1, true, false);
		drv_start(&q, &rig, dev, 256, 0);
		for (uint16_t i = 0; i < 80; i++) {
			drv_request(&q, (uint16_t)(3 * i), META + 32 * i, VIRTIO_BLK_T_OUT, 0, MIB,
				    DISK_SIZE);
			drv_avail(&q, (uint16_t)(3 * i));
		}
		drv_notify(&q);
		if (round & 1)
			usleep(50);
		dev->model->destroy(dev);
		rig_exit(&rig);
	}
	CU_PASS("fifty devices came and went");
}

/* Two vCPUs that drive the device as if each were alone, and scribble over the rings. Nothing is
 * expected of the device but that it lives: no access outside RAM, no deadlock (the alarm), no byte
 * beyond the disk, and after a reset it works. */
static void *wild_vcpu(void *arg)
{
	static const uint32_t status[] = {0, 1, 3, 11, 15, 15, 15, 15};
	struct drv_queue mine = q; /* the rings, and indices of its own */
	uint64_t state = (uintptr_t)arg;
	uint8_t *ring = at(&rig, QUEUE_BASE(0));

	for (unsigned int i = 0; i < 30000; i++) {
		uint32_t r = noise(&state);

		switch (r % 8) {
		case 0:
			reg_write(dev, VIRTIO_MMIO_STATUS, status[r / 8 % 8]);
			break;
		case 1:
			reg_write(dev, VIRTIO_MMIO_QUEUE_READY, r / 8 % 2);
			break;
		case 2: /* set up again, and given a moment to do something */
			if (r / 8 % 8)
				break;
			drv_features(dev, VERSION_1 | INDIRECT | EVENT_IDX);
			drv_ring_at(dev, 0, 64, QUEUE_BASE(0), QUEUE_BASE(0) + 0x4000,
				    QUEUE_BASE(0) + 0x8000);
			reg_write(dev, VIRTIO_MMIO_STATUS, ST_DRIVER_OK);
			mine.next_avail = 0;
			for (uint16_t k = 0; k < 4; k++) {
				drv_request(&mine, 3 * k, META + 32 * k,
					    k & 1 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT, 8 * k, MIB,
					    4096);
				drv_avail(&mine, 3 * k);
			}
			drv_notify(&mine);
			usleep(50);
			break;
		case 3:
			if (r / 8 % 8 == 0)
				ring[noise(&state) % 0x9000] = (uint8_t)noise(&state);
			break;
		case 4:
			reg_read(dev, noise(&state) % 64 * 4);
			break;
		default:
			drv_request(&mine, (uint16_t)(r / 8 % 60), META + 32 * (r % 64),
				    r / 8 % 2 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT,
				    noise(&state) % (DISK_SECTORS + 4), MIB, 4096);
			drv_avail(&mine, (uint16_t)(r / 8 % 60));
			eventfd_write(dev->notify_fd[0], 1);
			break;
		}
	}
	return NULL;
}

static void test_two_wild_vcpus(void)
{
	struct mmvm_disk_stats st;
	pthread_t t[2];

	rig_init(&rig);
	fd = disk_file();
	dev = disk_create(&rig, fd, 1, true, false);
	drv_start(&q, &rig, dev, 64, 0);
	alarm(100);
	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, wild_vcpu, (void *)(i + 1));
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	virtio_blk_stats(dev, &st);
	CU_ASSERT(st.reads > 0);
	CU_ASSERT(st.writes > 0);
	CU_ASSERT(errors(dev) > 0);
	drv_start(&q, &rig, dev, 64, 0);
	drv_request(&q, 0, META, VIRTIO_BLK_T_IN, 0, DATA, 512);
	drv_avail(&q, 0);
	drv_notify(&q);
	CU_ASSERT(wait_used(&q, 1));
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, META + 16), VIRTIO_BLK_S_OK);
	alarm(0);
	stop();
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(test_read_and_write),
		UNIT_CASE(test_dirty_pages_are_those_written),
		UNIT_CASE(test_range_is_checked_before_any_byte),
		UNIT_CASE(test_request_size_is_bounded),
		UNIT_CASE(test_get_id),
		UNIT_CASE(test_unknown_types),
		UNIT_CASE(test_read_only),
		UNIT_CASE(test_short_file_is_an_error),
		UNIT_CASE(test_host_errors_are_ioerr),
		UNIT_CASE(test_discard_and_write_zeroes),
		UNIT_CASE(test_discard_checks_all_before_the_first),
		UNIT_CASE(test_injected_faults),
		UNIT_CASE(test_creation_can_fail),
		UNIT_CASE(test_random_requests_through_the_worker),
		UNIT_CASE(test_reset_in_the_middle),
		UNIT_CASE(test_held_between_writes),
		UNIT_CASE(test_a_queue_set_up_beside_a_busy_one),
		UNIT_CASE(test_destroy_while_busy),
		UNIT_CASE(test_two_wild_vcpus),
	};

	return unit_run("virtio-blk", cases, sizeof(cases) / sizeof(cases[0]));
}
