#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "tests/random/random.h"

#define FUNCTIONS "/sys/kernel/config/usb_gadget/trayd/functions"
#define EXCUSES 256
#define EXCUSE_LASTS 200000 /* ms: 30 s, five retries (SD_MAX_RETRIES), each with its error handling */
#define RESETS 64

/* In order of the gadget: two functions, a CD and a disk in each. */
const struct drive_about drives[DRIVES] = {
    {"cd0", "mass_storage.left/lun.0", true},
    {"usb0", "mass_storage.left/lun.1", false},
    {"cd1", "mass_storage.right/lun.0", true},
    {"usb1", "mass_storage.right/lun.1", false},
};

int kernel_medium(int drive, bool *ret_readonly)
{
    char path[256], file[4096], ro[8];
    snprintf(path, sizeof path, FUNCTIONS "/%s/file", drives[drive].lun);
    if (fd_read_line(path, file, sizeof file) < 0) disagree("cannot read %s: %m", path);
    snprintf(path, sizeof path, FUNCTIONS "/%s/ro", drives[drive].lun);
    if (fd_read_line(path, ro, sizeof ro) < 0) disagree("cannot read %s: %m", path);
    *ret_readonly = ro[0] == '1';
    if (!file[0]) return -1;
    if (strncmp(file, STORE "/", strlen(STORE) + 1) != 0) disagree("%s: the kernel shows %s", drives[drive].name, file);
    return image_by_name(file + strlen(STORE) + 1);
}

/* ---- its messages ------------------------------------------------------------------------------------------------ */

static struct { msec at; const char *why; } excuses[EXCUSES];
static struct { msec at; char text[200]; } resets[RESETS];
static size_t excuses_len, resets_len;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void kernel_excuse(msec boot, const char *why)
{
    pthread_mutex_lock(&lock);
    excuses[excuses_len % EXCUSES].at = boot;
    excuses[excuses_len++ % EXCUSES].why = why;
    pthread_mutex_unlock(&lock);
}

/* "6,1234,5678901,-;usb 1-1: reset high-speed USB device number 2 using dummy_hcd"; the third number is in us. */
void kernel_log_read(void)
{
    static int fd = -1;
    char record[8192];
    ssize_t n;
    if (fd < 0) {
        fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0) disagree("cannot read the kernel's messages: %m");
        lseek(fd, 0, SEEK_END);
    }
    while ((n = read(fd, record, sizeof record - 1)) > 0 || (n < 0 && errno == EPIPE)) {
        if (n < 0) continue; /* the ring has turned over; what is left follows */
        record[n] = '\0';
        long long at_us;
        const char *text = strchr(record, ';');
        if (!text || sscanf(record, "%*d,%*d,%lld", &at_us) != 1) continue;
        record[strcspn(record, "\n")] = '\0';
        if (!strstr(text, "reset ") || !strstr(text, "USB device")) continue;
        journal("kernel: %s", text + 1);
        if (resets_len == RESETS) disagree("the host resets over and over");
        resets[resets_len].at = at_us / 1000;
        snprintf(resets[resets_len++].text, sizeof resets[0].text, "%s", text + 1);
    }
}

static bool excused(msec at)
{
    for (size_t i = 0; i < MIN(excuses_len, (size_t)EXCUSES); i++)
        if (excuses[i].at <= at + 1 && at < excuses[i].at + EXCUSE_LASTS) return true;
    return false;
}

void kernel_log_check(void)
{
    kernel_log_read();
    for (size_t i = 0; i < resets_len; i++)
        if (!excused(resets[i].at))
            disagree("a reset at %lld ms, and nothing was broken: %s", (long long)resets[i].at, resets[i].text);
    resets_len = 0;
}
