/*
 * check.c - at rest: the operations of the round have one outcome each, which agrees with the kernel; the API shows what
 * the kernel shows; the host reads what the API shows; and no sector is where it should not be.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "tests/random/random.h"

#define FINISH_MAX 150000 /* ms until nothing is under way: patience, a quarantine, and a host that has to give up */
#define HOST_MAX 200000   /* ms until the host reads again: a command that was broken, its timeout, and a reset */
#define EMPTY IMAGES      /* as an image of the model */

struct totals { unsigned done, failed, cancelled, ejects, forced, broken, reattached; };

static struct model { /* one drive */
    unsigned may;                    /* bit i: image i may be in it; bit EMPTY: nothing */
    char last[64];                   /* the newest operation that was looked at */
    unsigned host_ejects;            /* when the round began */
} models[DRIVES];
static struct totals totals;

/* ---- operations -------------------------------------------------------------------------------------------------- */

static bool is_final(const char *state)
{
    return strcmp(state, "done") == 0 || strcmp(state, "failed") == 0 || strcmp(state, "cancelled") == 0;
}

static json_t *get(const char *path)
{
    json_t *answer;
    int status = client_call("GET", path, NULL, true, &answer);
    if (status != 200) disagree("at rest, GET %s answers %d: %s", path, status, client_text(answer, "detail"));
    return answer;
}

static json_t *get_operations(int drive)
{
    char path[128];
    snprintf(path, sizeof path, "/api/v1/operations?drive=%s&limit=500", drives[drive].name);
    cleanup_json json_t *list = get(path);
    return json_incref(json_object_get(list, "operations"));
}

static size_t count_new(int drive, const json_t *operations)
{
    size_t n = 0;
    while (n < json_array_size(operations) &&
           strcmp(client_text(json_array_get(operations, n), "id"), models[drive].last) != 0)
        n++;
    if (n == json_array_size(operations) && models[drive].last[0])
        disagree("%s: operation %s is not in the history any more", drives[drive].name, models[drive].last);
    return n;
}

static bool all_final(int drive)
{
    cleanup_json json_t *operations = get_operations(drive);
    for (size_t i = count_new(drive, operations); i-- > 0;)
        if (!is_final(client_text(json_array_get(operations, i), "state"))) return false;
    return true;
}

static void wait_for_outcomes(int drive)
{
    msec end = clock_boot_ms() + FINISH_MAX;
    while (!all_final(drive)) {
        if (clock_boot_ms() >= end) disagree("%s: an operation has no outcome within %d s", drives[drive].name, FINISH_MAX / 1000);
        usleep(200000);
    }
}

static bool is_code(const char *code, const char *const *list)
{
    while (*list && strcmp(*list, code) != 0) list++;
    return *list != NULL;
}

/* What a failure may leave behind. */
static unsigned after_failure(unsigned may, const json_t *op, bool insert)
{
    static const char *const untouched[] = {"earlier_operation_failed", "medium_differs", "image_in_use", NULL};
    static const char *const unsure[] = {"interrupted", "drive_stuck", NULL}; /* it may have come about all the same */
    static const char *const possible[] = {"medium_in_use", "quarantine", "stale_host", "gadget_detached", "collateral_in_use",
                                           "unavailable", "precondition_failed", "cancelled", "forced_eject_unavailable", NULL};
    const char *code = client_text(op, "code");
    if (is_code(code, untouched)) return may;
    if (is_code(code, unsure)) return may | 1u << EMPTY | (insert ? 1u << image_by_name(client_text(op, "image")) : 0);
    if (!is_code(code, possible))
        disagree("operation %s failed with %s: %s", client_text(op, "id"), code, client_text(op, "detail"));
    return insert || strcmp(code, "medium_in_use") != 0 ? may | 1u << EMPTY : may;
}

static msec time_of(const json_t *op, const char *name)
{
    msec at = 0;
    if (clock_parse_rfc3339(client_text(op, name), &at) < 0)
        disagree("operation %s: %s is \"%s\"", client_text(op, "id"), name, client_text(op, name));
    return at;
}

static void look_at_facts(const json_t *op)
{
    bool broke = json_is_true(json_object_get(op, "broke_io")), reattached = json_is_true(json_object_get(op, "reattached"));
    if (broke)
        kernel_excuse(clock_boot_ms() - (clock_real_ms() - time_of(op, "accepted_at")), "an operation that broke I/O");
    totals.forced += json_is_true(json_object_get(op, "forced"));
    totals.broken += broke;
    totals.reattached += reattached;
}

/* In the order in which they were accepted, which is the order in which they ran. */
static void replay(int drive)
{
    struct model *m = &models[drive];
    cleanup_json json_t *operations = get_operations(drive);
    msec finished_before = 0;
    const char *id_before = "", *state_before = "";
    for (size_t i = count_new(drive, operations); i-- > 0;) {
        const json_t *op = json_array_get(operations, i);
        const char *state = client_text(op, "state"), *id = client_text(op, "id");
        msec finished = time_of(op, "finished_at");
        bool insert = strcmp(client_text(op, "action"), "insert") == 0;
        look_at_facts(op);
        if (strcmp(state, "cancelled") == 0) {
            totals.cancelled++;
            if (insert) m->may |= 1u << EMPTY; /* what was in may have been out already */
            continue;
        }
        /* After a restart those that had not had their turn end at once, and the one that had when the kernel was seen. */
        bool began = client_text(op, "started_at")[0]; /* else even trayd-gadget does not know it any more (api.c: reconcile()) */
        bool never_ran = strcmp(client_text(op, "code"), "interrupted") == 0 &&
                         (!began || time_of(op, "started_at") == finished);
        if (!never_ran && finished < finished_before)
            disagree("%s: operation %s (%s) ended %lld ms before %s, which was accepted earlier", drives[drive].name, id, state,
                     (long long)(finished_before - finished), id_before);
        if (strcmp(client_text(op, "code"), "earlier_operation_failed") == 0 && strcmp(state_before, "done") == 0)
            disagree("%s: operation %s says that an earlier one failed, and %s is done", drives[drive].name, id, id_before);
        if (strcmp(state, "done") == 0) {
            totals.done++;
            m->may = 1u << (insert ? image_by_name(client_text(op, "image")) : EMPTY);
        } else {
            totals.failed++;
            m->may = after_failure(m->may, op, insert);
        }
        if (!never_ran) finished_before = finished;
        id_before = id;
        state_before = state;
    }
    if (host_ejects[drive] != m->host_ejects) {
        totals.ejects++;
        m->may |= 1u << EMPTY;
    }
    snprintf(m->last, sizeof m->last, "%s", client_text(json_array_get(operations, 0), "id"));
}

/* ---- what is in the drive ------------------------------------------------------------------------------------------ */

static bool shows_same(int drive, json_t **ret_api, int *ret_image)
{
    char path[64];
    bool readonly;
    snprintf(path, sizeof path, "/api/v1/drives/%s", drives[drive].name);
    *ret_api = get(path);
    const json_t *medium = json_object_get(*ret_api, "medium");
    *ret_image = kernel_medium(drive, &readonly);
    if (*ret_image < 0) return json_is_null(medium);
    return *ret_image == image_by_name(client_text(medium, "image")) &&
           readonly == json_is_true(json_object_get(medium, "readonly"));
}

/* The API learns of a host's eject a moment later. */
static int compare_api(int drive)
{
    msec end = clock_boot_ms() + 20000;
    for (;;) {
        int image;
        cleanup_json json_t *api;
        bool same = shows_same(drive, &api, &image), quiet = json_is_null(json_object_get(api, "operation")) &&
                                                             json_array_size(json_object_get(api, "queue")) == 0 &&
                                                             json_is_null(json_object_get(api, "stuck"));
        if (same && quiet) return image;
        if (clock_boot_ms() >= end) {
            cleanup_free char *text = json_dumps(api, JSON_COMPACT);
            disagree("%s: the kernel shows %s, and the API: %s", drives[drive].name, image_name(image), text);
        }
        usleep(200000);
    }
}

static void compare_model(int drive, int image)
{
    struct model *m = &models[drive];
    unsigned shown = 1u << (image < 0 ? EMPTY : image);
    if (!(m->may & shown))
        disagree("%s: the kernel shows %s, which no outcome explains (possible: %#x)", drives[drive].name, image_name(image),
                 m->may);
    m->may = shown;
}

static void compare_host(int drive, int image)
{
    char node[64];
    msec end = clock_boot_ms() + HOST_MAX;
    int seen = -1;
    while (image >= 0 && clock_boot_ms() < end) {
        if (computer_node(drive, "5", node, sizeof node)) seen = computer_reads(drive, node);
        if (seen >= 0) break;
        usleep(200000);
    }
    if (seen != image) disagree("%s: %s is in, and the host reads %s", drives[drive].name, image_name(image), image_name(seen));
}

/* ---- images ------------------------------------------------------------------------------------------------------ */

static void check_image(int image, char *bytes)
{
    char path[128];
    snprintf(path, sizeof path, STORE "/%s", image_name(image));
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fd_read_full(fd, bytes, IMAGE_BYTES) != IMAGE_BYTES) disagree("cannot read %s", path);
    for (unsigned i = 0; i < IMAGE_BYTES / BLOCK; i++) {
        struct sector s;
        if (!sector_read(bytes + i * BLOCK, &s))
            disagree("%s: block %u is damaged: %.60s", image_name(image), i, bytes + i * BLOCK);
        if (s.image != image || s.block != i)
            disagree("%s: block %u holds block %u of %s, write %u", image_name(image), i, s.block, image_name(s.image), s.write);
        if (s.write != ORIGINAL && image_is_never_writable(image))
            disagree("%s is read-only, and block %u was written, write %u", image_name(image), i, s.write);
    }
}

static void check_images(void)
{
    cleanup_free char *bytes = malloc(IMAGE_BYTES);
    for (int i = 0; bytes && i < IMAGES; i++) check_image(i, bytes);
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

void check_begin(void)
{
    for (int i = 0; i < DRIVES; i++) {
        models[i].may = models[i].last[0] ? models[i].may : 1u << EMPTY;
        models[i].host_ejects = host_ejects[i];
    }
}

void check_all(void)
{
    int images[DRIVES];
    for (int i = 0; i < DRIVES; i++) wait_for_outcomes(i);
    for (int i = 0; i < DRIVES; i++) replay(i);
    for (int i = 0; i < DRIVES; i++) {
        images[i] = compare_api(i);
        journal("at rest: %s holds %s", drives[i].name, image_name(images[i]));
        compare_model(i, images[i]);
    }
    for (int i = 0; i < DRIVES; i++) compare_host(i, images[i]);
    check_images();
    kernel_log_check();
}

void check_totals(void)
{
    printf("operations: %u well done, %u in vain, %u cancelled; %u forced, %u broke I/O, %u reattached; %u rounds of a drive with "
           "host ejects; trayd-gadget killed %u times\n",
           totals.done, totals.failed, totals.cancelled, totals.forced, totals.broken, totals.reattached, totals.ejects,
           restarts / 2);
}
