/*
 * The inspection of images, on sparse ones (sparse.h): whatever they hold, it stays within its limits.
 *
 * A mutator of its own keeps sectors whole and in their places, and prefers what hurts parsers: numbers, at the places
 * where numbers stand.
 */
#include <stdlib.h>

#include "images/inspect_json.h"
#include "tests/fuzz/sparse.h"

struct counted {
    struct sparse sparse;
    unsigned reads;
    uint64_t bytes;
};

static ssize_t read_counted(void *owner, void *data, size_t len, uint64_t offset)
{
    struct counted *c = owner;
    c->reads++;
    c->bytes += len;
    if (len > INSPECT_READ_BYTES_MAX) abort();
    return sparse_read(&c->sparse, data, len, offset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct inspect_result r;
    struct inspect_summary glance;
    if (len < 8) return 0;
    struct counted c = {.sparse = {.data = data, .len = len}};
    struct inspect_reader reader = {.owner = &c, .read = read_counted};
    uint64_t size = le64(data);
    inspect(&reader, size, &r);
    if (c.reads > INSPECT_READS_MAX || c.bytes > INSPECT_BYTES_MAX) abort();
    json_t *json = json_object();
    inspect_json_summary(json, &r.summary, size);
    inspect_json_details(json, &r);
    char *text = json_write(json, true);
    if (!text) abort();
    free(text);
    json_decref(json);
    inspect_glance(&reader, &glance);
    return 0;
}

/* ---- the mutator ---- */

size_t LLVMFuzzerMutate(uint8_t *data, size_t len, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed);

static void put_number(uint8_t *sector, uint32_t random)
{
    static const uint64_t numbers[] = {0, 1, 2, 7, 8, 31, 32, 127, 128, 255, 511, 512, 2047, 2048, 4096, 0x7fff, 0xffff,
                                       INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX, UINT64_MAX / 512, 0x55aa, 0xaa55};
    uint64_t value = numbers[random % ARRAY_LEN(numbers)] + (random >> 5) % 3 - 1;
    size_t bytes = (size_t)1 << (random >> 7) % 4, at = (random >> 9) % (SPARSE_SECTOR / bytes) * bytes;
    if (random & 1 << 18 && at + bytes < SPARSE_SECTOR) at++; /* not all of them are aligned */
    for (size_t i = 0; i < bytes; i++) sector[at + i] = (uint8_t)(value >> 8 * i);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed)
{
    uint32_t random = seed * 2654435761u;
    size_t chunks = len > 8 ? (len - 8) / SPARSE_CHUNK : 0;
    if (!chunks || random % 16 == 0) return LLVMFuzzerMutate(data, len, max);
    uint8_t *chunk = data + 8 + (random >> 4) % chunks * SPARSE_CHUNK;
    uint8_t *other = data + 8 + (random >> 12) % chunks * SPARSE_CHUNK;
    switch (random % 16) {
    case 1: LLVMFuzzerMutate(data, 8, 8); break;                              /* the size of the image */
    case 2: memcpy(chunk, other, 4); break;                                   /* another place */
    case 3: memcpy(chunk + 4, other + 4, SPARSE_SECTOR); break;
    case 4: memmove(chunk + 4 + (random >> 20) % 256, chunk + 4, 256); break; /* what stood in front, farther behind */
    case 5: case 6: case 7: LLVMFuzzerMutate(chunk + 4, SPARSE_SECTOR, SPARSE_SECTOR); break;
    default: put_number(chunk + 4, seed * 40503u ^ random >> 8); break;
    }
    return len;
}
