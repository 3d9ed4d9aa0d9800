#include "api/system.h"

#include <string.h>
#include <sys/utsname.h>

#include "api/handlers.h"
#include "base/fd.h"

json_t *system_describe(const struct api *a, const json_t *gadget)
{
    char boot_id[64];
    struct utsname kernel;
    msec uptime = clock_boot_ms() - a->started_at;
    if (fd_read_line("/proc/sys/kernel/random/boot_id", boot_id, sizeof boot_id) < 0) boot_id[0] = '\0';
    uname(&kernel);
    json_t *all = json_object();
    json_put_text(all, "version", a->version);
    json_put_time(all, "started_at", clock_real_ms() - uptime);
    json_put_int(all, "uptime", uptime / 1000);
    json_put_text(all, "kernel", kernel.release);
    json_put_text(all, "boot_id", boot_id);
    json_put(all, "gadget", json_incref((json_t *)(uintptr_t)gadget));
    return all;
}

json_t *system_now(const struct api *a)
{
    cleanup_json json_t *gadget = gadget_client_connected(a->gadget) ? gadget_client_system(a->gadget) : NULL;
    return system_describe(a, gadget);
}

/* GET /api/v1/system */
void api_get_system(struct api *a, attr_unused const struct api_request *rq, struct api_response *rs)
{
    api_json(rs, 200, system_now(a));
}

/* GET /api/v1/openapi.json */
void api_get_openapi(attr_unused struct api *a, attr_unused const struct api_request *rq, struct api_response *rs)
{
    rs->bytes = malloc(api_openapi_json_len);
    if (!rs->bytes) {
        api_json(rs, 200, NULL);
        return;
    }
    memcpy(rs->bytes, api_openapi_json, api_openapi_json_len);
    rs->bytes_len = api_openapi_json_len;
    rs->content_type = "application/json";
}

static void healthy(struct api_response *rs)
{
    api_json(rs, 200, json_pack("{s:s}", "status", "ok"));
}

/* GET /healthz */
void api_get_health(attr_unused struct api *a, attr_unused const struct api_request *rq, struct api_response *rs)
{
    healthy(rs);
}

/* GET /readyz */
/* "found" is null until the gadget was looked at, "error" says why it could not be built. */
static bool gadget_is_up(struct api *a, struct err *e)
{
    cleanup_json json_t *gadget = gadget_client_system(a->gadget);
    if (json_text(gadget, "error")[0])
        err_set(e, ERR_UNAVAILABLE, "%s", json_text(gadget, "error"));
    else if (!json_text(gadget, "found")[0])
        err_set(e, ERR_UNAVAILABLE, "The gadget is not built yet");
    else
        return true;
    return false;
}

void api_get_readiness(struct api *a, attr_unused const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    size_t i;
    json_t *store;
    bool attached = false;
    cleanup_json json_t *stores = library_stores(a->library);
    json_array_foreach(stores, i, store) attached |= json_flag(store, "attached");
    bool ready = false;
    if (!gadget_client_connected(a->gadget))
        err_set(&e, ERR_UNAVAILABLE, "trayd-gadget, which owns the drives, cannot be reached");
    else if (!attached)
        err_set(&e, ERR_UNAVAILABLE, "No store is attached");
    else
        ready = gadget_is_up(a, &e);
    if (ready)
        healthy(rs);
    else
        api_problem(rs, &e);
}
