/* names.c: looking at names, removal and renaming. */
#include "nvme.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int32_t nvme_stat(qd_storage *t, qd_str name, qd_storage_stat *out, const qd_storage_call *call)
{
    int32_t rc = nvme_name_check(t, name, call);
    if (rc) return rc;
    char leaf[256];
    struct stat st;
    int folder = nvme_parent(t, name, 0, leaf), number = folder < 0 ? -folder : 0;
    if (!number && fstatat(folder, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0) number = errno;
    if (folder >= 0) close(folder);
    if (!number && !S_ISREG(st.st_mode)) number = ENOENT;
    if (number) return nvme_errno(t, call, number, "looking for", name);
    *out =
        (qd_storage_stat){.name = name,
                          .size = (uint64_t)st.st_size,
                          .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
                          .type = QD_STORAGE_OBJECT};
    nvme_tag(&st, out->tag);
    return 0;
}

/* Removes one name. 0 or errno; absent: ENOENT. */
static int remove_one(qd_storage *t, qd_str name)
{
    char leaf[256];
    int folder = nvme_parent(t, name, 0, leaf), number = folder < 0 ? -folder : 0;
    if (!number) number = nvme_point(t, "storage.remove");
    if (!number && unlinkat(folder, leaf, 0) != 0) number = errno == EISDIR ? ENOENT : errno;
    if (folder >= 0) close(folder);
    if (number) return number == ENOTDIR ? ENOENT : number;
    int fd = nvme_lazy_take(t, name);
    if (fd >= 0) close(fd);
    return 0;
}

int32_t nvme_remove(qd_storage *t, const qd_str *names, uint32_t n, uint32_t *removed,
                    const qd_storage_call *call)
{
    uint32_t gone = 0;
    if (n == 0 || n > QD_STORAGE_NAMES_MAX) {
        return nvme_fail(t, call, QD_E_ARG, "one call removes 1 to %u names, not %u",
                         QD_STORAGE_NAMES_MAX, n);
    }
    for (uint32_t i = 0; i < n; i++) {
        int32_t rc = nvme_writable(t, names[i], call);
        int number = rc ? 0 : remove_one(t, names[i]);
        if (number && number != ENOENT) rc = nvme_errno(t, call, number, "removing", names[i]);
        if (rc) return rc;
        gone += number == 0;
    }
    if (removed) *removed = gone;
    return 0;
}

/* The folder moves into .tmp as a whole, so that a crash leaves all of it or nothing; what is in
 * .tmp goes now, or when the tier is opened next. */
int32_t nvme_remove_tree(qd_storage *t, qd_str folder, const qd_storage_call *call)
{
    int32_t rc = nvme_writable(t, folder, call);
    if (rc) return rc;
    char leaf[256], tmp[40];
    int parent = nvme_parent(t, folder, 0, leaf), number = parent < 0 ? -parent : 0;
    if (number == ENOENT || number == ENOTDIR) return 0;
    nvme_tmp_name(t, tmp);
    if (!number) number = nvme_point(t, "storage.remove");
    if (!number && renameat(parent, leaf, t->tmp, tmp) != 0) number = errno;
    int gone = number == 0;
    nvme_unsettle(t, folder);
    if (number == ENOENT)
        number = 0; /* the parent is synced all the same: an earlier try may
                       have failed there */
    if (!number) number = nvme_sync_fd(t, parent);
    if (parent >= 0) close(parent);
    if (number) return nvme_errno(t, call, number, "removing folder", folder);
    if (!gone) return 0;
    nvme_lazy_drop(t, folder);
    int fd = openat(t->tmp, tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
        number = nvme_empty(fd, 0);
        if (!number && unlinkat(t->tmp, tmp, AT_REMOVEDIR) != 0) number = errno;
    } else {
        number = unlinkat(t->tmp, tmp, 0) == 0 ? 0 : errno; /* it was a file */
    }
    if (number) {
        qd_plug_log(t->plugin->log, t->plugin->self, QD_LEVEL_WARN,
                    "removing folder %.*s: some of it is left in .tmp: %s", (int)folder.n, folder.p,
                    strerror(number));
    }
    return 0;
}

int32_t nvme_rename(qd_storage *t, qd_str from, qd_str to, const qd_storage_call *call)
{
    int32_t rc = nvme_writable(t, from, call);
    if (!rc) rc = nvme_writable(t, to, call);
    if (rc) return rc;
    char from_leaf[256], to_leaf[256];
    struct stat st;
    int source = nvme_parent(t, from, 0, from_leaf), target = -1;
    int number = source < 0 ? -source : 0;
    if (!number && fstatat(source, from_leaf, &st, AT_SYMLINK_NOFOLLOW) != 0) number = errno;
    if (!number && !S_ISREG(st.st_mode)) number = ENOENT;
    if (!number) {
        nvme_touch(t, nvme_folder_of(to));
        target = nvme_parent(t, to, 1, to_leaf);
        number = target < 0 ? -target : 0;
    }
    if (!number && syscall(SYS_renameat2, source, from_leaf, target, to_leaf, RENAME_NOREPLACE)) {
        number = errno;
        if (number == EINVAL || number == ENOSYS) {
            number = linkat(source, from_leaf, target, to_leaf, 0) == 0 ? 0 : errno;
            if (!number && unlinkat(source, from_leaf, 0) != 0) number = errno;
        }
    }
    if (!number) number = nvme_settle(t, to);
    if (!number) number = nvme_sync_fd(t, target);
    if (!number) number = nvme_sync_fd(t, source);
    if (source >= 0) close(source);
    if (target >= 0) close(target);
    if (number) return nvme_errno(t, call, number, "renaming", from);
    int fd = nvme_lazy_take(t, from);
    if (fd >= 0) close(fd);
    return 0;
}

int32_t nvme_sync_dir(qd_storage *t, qd_str folder, const qd_storage_call *call)
{
    int32_t rc = folder.n > 0 ? nvme_writable(t, folder, call) : nvme_go_on(t, call);
    if (rc) return rc;
    int fd = nvme_folder(t, folder, 0), number = 0;
    if (fd == -ENOENT) return 0; /* removed with all that was in it */
    if (fd < 0) number = -fd;
    if (!number) number = nvme_sync_fd(t, fd);
    if (fd >= 0) close(fd);
    return number ? nvme_errno(t, call, number, "syncing folder", folder) : 0;
}
