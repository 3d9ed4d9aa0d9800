/*
 * Inspects an image and shows what was found, as JSON: record IMAGE [SEED]
 * With SEED, what the inspection read is written to that file, as the fuzzer of the inspection takes it (sparse.h).
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/inspect_json.h"
#include "tests/fuzz/sparse.h"

#define SECTORS_MAX 2048

struct recorder {
    int fd;
    uint32_t sectors[SECTORS_MAX];
    size_t count;
};

static void note(struct recorder *r, uint64_t sector)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->sectors[i] == sector) return;
    if (r->count < SECTORS_MAX && sector <= UINT32_MAX) r->sectors[r->count++] = (uint32_t)sector;
}

static ssize_t read_and_note(void *owner, void *data, size_t len, uint64_t offset)
{
    struct recorder *r = owner;
    for (uint64_t at = offset / SPARSE_SECTOR; at * SPARSE_SECTOR < offset + len; at++) note(r, at);
    return pread(r->fd, data, len, (off_t)offset);
}

static void put_le(FILE *f, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) fputc((int)(value >> 8 * i & 0xff), f);
}

static int write_seed(const struct recorder *r, uint64_t size, const char *path)
{
    static const uint8_t zeros[SPARSE_SECTOR];
    FILE *f = fopen(path, "w");
    if (!f) return -1;
    put_le(f, size, 8);
    for (size_t i = 0; i < r->count; i++) {
        uint8_t sector[SPARSE_SECTOR] = {0};
        if (pread(r->fd, sector, sizeof sector, (off_t)r->sectors[i] * SPARSE_SECTOR) <= 0) continue;
        if (memcmp(sector, zeros, sizeof zeros) == 0) continue;
        put_le(f, r->sectors[i], 4);
        fwrite(sector, sizeof sector, 1, f);
    }
    return fclose(f);
}

int main(int argc, char **argv)
{
    static struct recorder r;
    static struct inspect_result found;
    struct stat st;
    if (argc < 2 || (r.fd = open(argv[1], O_RDONLY | O_CLOEXEC)) < 0 || fstat(r.fd, &st) < 0) {
        fprintf(stderr, "usage: record IMAGE [SEED]\n");
        return 2;
    }
    inspect(&(struct inspect_reader){.owner = &r, .read = read_and_note}, (uint64_t)st.st_size, &found);
    cleanup_json json_t *json = json_object();
    inspect_json_summary(json, &found.summary, (uint64_t)st.st_size);
    inspect_json_details(json, &found);
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
    return argc > 2 && write_seed(&r, (uint64_t)st.st_size, argv[2]) < 0;
}
