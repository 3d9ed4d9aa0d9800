#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "tests/random/random.h"

/* The last disk image is never asked for writable. */
static const char *const names[IMAGES] = {"c0.iso", "c1.iso", "c2.iso", "c3.iso", "d0.img", "d1.img", "d2.img", "d3.img", "r0.img"};

const char *image_name(int image)
{
    return image < 0 ? "nothing" : names[image];
}

int image_by_name(const char *name)
{
    for (int i = 0; i < IMAGES; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

bool image_is_cd(int image)
{
    return names[image][0] == 'c';
}

bool image_is_never_writable(int image)
{
    return names[image][0] != 'd';
}

void sector_fill(void *block, int image, unsigned number, unsigned write)
{
    memset(block, ' ', BLOCK);
    int n = snprintf(block, BLOCK, "sector of image %d, block %u, write %u.\n", image, number, write);
    ((char *)block)[n] = '-'; /* the NUL */
    /* A copy at the end: half a sector is none. */
    memcpy((char *)block + BLOCK - n, block, (size_t)n);
}

bool sector_read(const void *block, struct sector *ret)
{
    char expected[BLOCK];
    struct sector s;
    if (sscanf(block, "sector of image %d, block %u, write %u.", &s.image, &s.block, &s.write) != 3) return false;
    sector_fill(expected, s.image, s.block, s.write);
    *ret = s;
    return memcmp(expected, block, BLOCK) == 0;
}

void images_make(void)
{
    cleanup_free char *bytes = malloc(IMAGE_BYTES);
    for (int i = 0; bytes && i < IMAGES; i++) {
        char path[128];
        snprintf(path, sizeof path, STORE "/%s", names[i]);
        for (unsigned k = 0; k < IMAGE_BYTES / BLOCK; k++) sector_fill(bytes + k * BLOCK, i, k, ORIGINAL);
        cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0 || fchmod(fd, 0666) < 0 || fd_write_full(fd, bytes, IMAGE_BYTES) < 0) disagree("cannot make %s", path);
    }
}
