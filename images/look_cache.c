#include "images/look_cache.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/util.h"

#define WAYS 4
#define SETS (LOOKS_MAX / WAYS)

struct key {
    uint64_t device, inode;
    int64_t size, seconds;
    uint32_t nanoseconds;
};

struct entry {
    struct key key;
    uint8_t format, dirty;
    bool used, deep, boot_sector;
    bool cdrom_bios, cdrom_uefi, disk_bios, disk_uefi;
};

struct look_cache {
    atomic_uint references;
    pthread_mutex_t lock;
    unsigned turn; /* which of a full set goes next */
    struct entry sets[SETS][WAYS];
};

struct look_cache *look_cache_new(void)
{
    struct look_cache *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    atomic_init(&c->references, 1);
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

struct look_cache *look_cache_ref(struct look_cache *c)
{
    if (c) atomic_fetch_add(&c->references, 1);
    return c;
}

void look_cache_unref(struct look_cache *c)
{
    if (!c || atomic_fetch_sub(&c->references, 1) != 1) return;
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static struct key key_of(const struct stat *st)
{
    return (struct key){
        .device = (uint64_t)st->st_dev,
        .inode = (uint64_t)st->st_ino,
        .size = st->st_size,
        .seconds = st->st_mtim.tv_sec,
        .nanoseconds = (uint32_t)st->st_mtim.tv_nsec,
    };
}

static bool same_file(const struct key *a, const struct key *b)
{
    return a->device == b->device && a->inode == b->inode;
}

static bool same(const struct key *a, const struct key *b)
{
    return same_file(a, b) && a->size == b->size && a->seconds == b->seconds && a->nanoseconds == b->nanoseconds;
}

/* By the file alone, so that what it was takes no place beside what it is. */
static struct entry *set_of(struct look_cache *c, const struct key *k)
{
    uint64_t hash = (k->inode ^ k->device << 32) * 0x9e3779b97f4a7c15;
    return c->sets[(hash >> 40) % SETS];
}

bool look_cache_get(struct look_cache *c, const struct stat *st, struct inspect_summary *ret)
{
    if (!c) return false;
    struct key key = key_of(st);
    bool found = false;
    pthread_mutex_lock(&c->lock);
    struct entry *set = set_of(c, &key);
    for (size_t i = 0; i < WAYS && !found; i++) {
        const struct entry *e = &set[i];
        if (!e->used || !same(&e->key, &key)) continue;
        found = true;
        *ret = (struct inspect_summary){
            .format = (enum inspect_format)e->format,
            .deep = e->deep,
            .boot_sector = e->boot_sector,
            .cdrom = {.bios = e->cdrom_bios, .uefi = e->cdrom_uefi},
            .disk = {.bios = e->disk_bios, .uefi = e->disk_uefi},
            .dirty = (enum inspect_dirty)e->dirty,
        };
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}

static struct entry *choose(struct look_cache *c, const struct key *key)
{
    struct entry *set = set_of(c, key);
    for (size_t i = 0; i < WAYS; i++)
        if (set[i].used && same_file(&set[i].key, key)) return &set[i];
    for (size_t i = 0; i < WAYS; i++)
        if (!set[i].used) return &set[i];
    return &set[c->turn++ % WAYS];
}

void look_cache_put(struct look_cache *c, const struct stat *st, const struct inspect_summary *s)
{
    if (!c) return;
    struct key key = key_of(st);
    pthread_mutex_lock(&c->lock);
    struct entry *e = choose(c, &key);
    if (s->deep || !e->used || !e->deep || !same(&e->key, &key))
        *e = (struct entry){
            .key = key,
            .used = true,
            .format = (uint8_t)s->format,
            .deep = s->deep,
            .boot_sector = s->boot_sector,
            .cdrom_bios = s->cdrom.bios,
            .cdrom_uefi = s->cdrom.uefi,
            .disk_bios = s->disk.bios,
            .disk_uefi = s->disk.uefi,
            .dirty = (uint8_t)s->dirty,
        };
    pthread_mutex_unlock(&c->lock);
}
