#include "images/installer.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "images/inspect_text.h"

static const char *const folders[] = {"sources", ".disk", "live", "images", "bin"};

enum { ROOT = -1, SOURCES, DISK, LIVE, IMAGES, BIN };

/* The first of these that is there counts. */
static const struct {
    int folder;
    const char *name;
    bool directory;
    const char *text; /* NULL: what stands in the file */
} marks[] = {
    {SOURCES, "install.wim", false, "Windows installer"},
    {SOURCES, "install.esd", false, "Windows installer"},
    {SOURCES, "install.swm", false, "Windows installer"},
    {SOURCES, "boot.wim", false, "Windows PE"},
    {ROOT, "bootmgr", false, "Windows boot manager"},
    {DISK, "info", false, NULL}, /* Debian, Ubuntu and their relatives: name, version, architecture, kind of disc */
    {ROOT, "casper", true, "Ubuntu or a relative (casper)"},
    {ROOT, "install.amd", true, "Debian installer"},
    {LIVE, "filesystem.squashfs", false, "Debian live system or a relative"},
    {ROOT, "arch", true, "Arch Linux"},
    {ROOT, ".alpine-release", false, "Alpine Linux"},
    {ROOT, "pve-installer.squashfs", false, "Proxmox VE installer"},
    {ROOT, "nix-store.squashfs", false, "NixOS"},
    {ROOT, "imgdb.tgz", false, "VMware ESXi installer"},
    {IMAGES, "install.img", false, "Anaconda installer (Fedora, Red Hat or a relative)"},
    {ROOT, "LiveOS", true, "Live Linux (LiveOS)"},
    {BIN, "freebsd-version", false, "FreeBSD"},
    {ROOT, "isolinux", true, "Linux (ISOLINUX)"},
};

struct finder {
    int folder;                                     /* whose entries are shown */
    bool found[ARRAY_LEN(marks)];
    struct tree_place places[ARRAY_LEN(marks)];
    bool folder_found[ARRAY_LEN(folders)];
    struct tree_place folder_places[ARRAY_LEN(folders)];
};

static bool visit(void *owner, const struct tree_entry *entry)
{
    struct finder *f = owner;
    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        if (marks[i].folder != f->folder || marks[i].directory != entry->directory) continue;
        if (f->found[i] || !tree_name_is(entry->name, marks[i].name)) continue;
        f->found[i] = true;
        f->places[i] = entry->place;
    }
    for (size_t i = 0; f->folder == ROOT && entry->directory && i < ARRAY_LEN(folders); i++) {
        if (f->folder_found[i] || !tree_name_is(entry->name, folders[i])) continue;
        f->folder_found[i] = true;
        f->folder_places[i] = entry->place;
    }
    return true;
}

/* The first line of the file. */
static bool read_text(const struct tree *t, const struct tree_place *file, char ret[INSPECT_INSTALLER_MAX])
{
    uint8_t data[256];
    size_t len = t->read ? t->read(t, file, data, sizeof data) : 0;
    uint8_t *newline = len ? memchr(data, '\n', len) : NULL;
    text_from_bytes(ret, INSPECT_INSTALLER_MAX, data, newline ? (size_t)(newline - data) : len);
    return ret[0];
}

void installer_find(const struct tree *t, char ret[INSPECT_INSTALLER_MAX])
{
    struct finder f = {.folder = ROOT};
    ret[0] = '\0';
    t->list(t, &t->root, visit, &f);
    for (f.folder = 0; f.folder < (int)ARRAY_LEN(folders); f.folder++)
        if (f.folder_found[f.folder]) t->list(t, &f.folder_places[f.folder], visit, &f);
    for (size_t i = 0; i < ARRAY_LEN(marks) && !ret[0]; i++) {
        if (!f.found[i]) continue;
        if (marks[i].text) snprintf(ret, INSPECT_INSTALLER_MAX, "%s", marks[i].text);
        else read_text(t, &f.places[i], ret);
    }
}
