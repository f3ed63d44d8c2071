/* file_t.c: small files, locks between processes, children, addresses. */
#include "base/str.h"
#include "runtime/file.h"
#include "runtime/proc.h"
#include "runtime/resolve.h"
#include "unit/unit.h"
#include <unistd.h>

static char dir[] = "/tmp/qd-file-XXXXXX";
static char path[256];

static const char *in_dir(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
    (void)state;
    return qd_dir_remove(dir, NULL);
}

static void a_file_is_replaced_whole_and_read_within_bounds(void **state)
{
    (void)state;
    const char *p = in_dir("a");
    assert_int_equal(qd_file_write_atomic(p, QD_STR("first, longer"), 0600, NULL), 0);
    assert_int_equal(qd_file_write_atomic(p, QD_STR("second"), 0640, NULL), 0);
    qd_file_info info;
    assert_int_equal(qd_file_stat(p, &info, NULL), 0);
    assert_int_equal(info.size, 6);
    assert_int_equal(info.mode, 0640);
    qd_buf b;
    qd_buf_init(&b, NULL, 6);
    assert_int_equal(qd_file_read(p, &b, NULL), 0);
    assert_string_equal(b.p, "second");
    qd_buf_fini(&b);
    qd_buf_init(&b, NULL, 5);
    qd_err err;
    qd_err_init(&err);
    assert_int_equal(qd_file_read(p, &b, &err), QD_E_LIMIT);
    assert_non_null(strstr(qd_err_reason(&err), "longer than 5 bytes"));
    qd_err_fini(&err);
    qd_buf_fini(&b);
    qd_buf_init(&b, NULL, 100);
    assert_int_equal(qd_file_read_at(p, 3, 2, &b, NULL), 0);
    assert_string_equal(b.p, "on");
    assert_int_equal(qd_file_read(in_dir("missing"), &b, NULL), QD_E_NOTFOUND);
    qd_buf_fini(&b);
}

static int add_name(void *arg, const char *name)
{
    strncat(arg, name, 20);
    return 0;
}

static void a_disk_gives_a_sign_of_life(void **state)
{
    (void)state;
    qd_file_info info;
    assert_int_equal(qd_dir_probe(dir, NULL), 0);
    assert_int_equal(qd_file_stat(in_dir(".probe"), &info, NULL), 0);
    uint64_t size = info.size, inode = info.inode;
    assert_int_equal(qd_dir_probe(dir, NULL), 0);
    assert_int_equal(qd_file_stat(in_dir(".probe"), &info, NULL), 0);
    assert_int_equal(info.size, size); /* in place */
    assert_int_equal(info.inode, inode);
    assert_int_equal(qd_dir_probe(in_dir("none"), NULL), QD_E_NOTFOUND);
    /* what lies there under the name is not followed elsewhere */
    assert_int_equal(unlink(in_dir(".probe")), 0);
    assert_int_equal(symlink("/dev/full", in_dir(".probe")), 0);
    assert_int_equal(qd_dir_probe(dir, NULL), QD_E_IO);
    assert_int_equal(unlink(in_dir(".probe")), 0);
}

static void folders_are_made_listed_in_order_and_removed(void **state)
{
    (void)state;
    assert_int_equal(qd_dir_make(in_dir("x/y/z"), 0700, NULL), 0);
    assert_int_equal(qd_dir_make(in_dir("x/y/z"), 0700, NULL), 0);
    assert_int_equal(qd_file_write_atomic(in_dir("x/c"), QD_STR(""), 0600, NULL), 0);
    assert_int_equal(qd_file_write_atomic(in_dir("x/a"), QD_STR(""), 0600, NULL), 0);
    char names[100] = "";
    assert_int_equal(qd_dir_list(in_dir("x"), add_name, names, NULL), 0);
    assert_string_equal(names, "acy");
    assert_int_equal(symlink("/etc", in_dir("x/link")), 0);
    assert_int_equal(qd_dir_remove(in_dir("x"), NULL), 0);
    assert_false(qd_file_exists(in_dir("x")));
    assert_true(qd_file_exists("/etc/passwd")); /* links are not followed */
}

static int take_lock_in_child(void *arg)
{
    qd_file_lock *lock;
    qd_err err;
    qd_err_init(&err);
    int rc = qd_file_lock_take(arg, &lock, &err);
    printf("%s", qd_err_reason(&err));
    qd_err_fini(&err);
    return rc == QD_E_LOCKED ? 3 : 4;
}

static void a_lock_names_its_holder_to_others(void **state)
{
    (void)state;
    char p[256];
    snprintf(p, sizeof p, "%s", in_dir("lock"));
    qd_file_lock *lock;
    assert_int_equal(qd_file_lock_take(p, &lock, NULL), 0);
    qd_buf out;
    qd_buf_init(&out, NULL, 4096);
    qd_proc_exit ended;
    assert_int_equal(qd_proc_child(take_lock_in_child, p, 20000, &out, &ended, NULL), 0);
    assert_int_equal(ended.status, 3);
    char want[64];
    snprintf(want, sizeof want, "pid %lld", (long long)qd_proc_pid());
    assert_non_null(strstr(out.p, want));
    qd_buf_fini(&out);
    qd_file_lock_release(lock);
    assert_int_equal(qd_file_lock_take(p, &lock, NULL), 0);
    qd_file_lock_release(lock);
}

static void children_give_output_and_are_killed_when_late(void **state)
{
    (void)state;
    qd_buf out;
    qd_buf_init(&out, NULL, 4096);
    qd_proc_exit ended;
    char *cat[] = {"cat", NULL};
    assert_int_equal(qd_proc_run(cat, QD_STR("hello"), 20000, &out, &ended, NULL), 0);
    assert_int_equal(ended.status, 0);
    assert_string_equal(out.p, "hello");
    char *late[] = {"sleep", "1000", NULL};
    assert_int_equal(qd_proc_run(late, QD_STR(""), 20, &out, &ended, NULL), 0);
    assert_true(ended.timed_out);
    char *missing[] = {"no-such-program-here", NULL};
    assert_int_equal(qd_proc_run(missing, QD_STR(""), 20000, &out, &ended, NULL), 0);
    assert_int_equal(ended.status, 127);
    qd_buf_fini(&out);
}

static void the_machine_is_described(void **state)
{
    (void)state;
    assert_true(qd_proc_runs(qd_proc_pid()));
    /* no ids of a process: all of them, groups, the first one, and what is that in 32 bits */
    static const int64_t none[] = {-1, 0, 1, UINT32_MAX, (INT64_C(1) << 32) + 1, INT64_MIN};
    for (size_t i = 0; i < QD_COUNT_OF(none); i++) assert_false(qd_proc_runs(none[i]));
    qd_proc_memory m;
    qd_proc_memory_get(&m);
    assert_true(m.rss > 0 && m.virtual_size >= m.rss);
    qd_machine_memory mm;
    qd_machine_memory_get(&mm);
    assert_true(mm.limit > 0 && mm.limit <= mm.total);
    assert_true(qd_proc_open_files() >= 3);
    qd_machine_os os;
    qd_machine_os_get(&os);
    assert_string_equal(os.name, "Linux");
    qd_buf b;
    qd_buf_init(&b, NULL, 4096);
    assert_int_equal(qd_proc_exe_dir(&b, NULL), 0);
    assert_int_equal(b.p[0], '/');
    qd_buf_fini(&b);
}

static void addresses_are_read_and_written(void **state)
{
    (void)state;
    qd_addr a;
    char text[QD_ADDR_TEXT_MAX];
    assert_true(qd_addr_parse(QD_STR("127.1.2.3"), 9200, &a));
    assert_string_equal(qd_addr_text(&a, true, text), "127.1.2.3:9200");
    assert_true(qd_addr_is_loopback(&a));
    assert_true(qd_addr_parse(QD_STR("[::1]"), 80, &a));
    assert_string_equal(qd_addr_text(&a, true, text), "[::1]:80");
    assert_true(qd_addr_is_loopback(&a));
    assert_false(qd_addr_parse(QD_STR("1.2.3"), 80, &a));
    assert_true(qd_addr_parse(QD_STR("0.0.0.0"), 80, &a) && qd_addr_is_any(&a));
    uint32_t n;
    assert_int_equal(qd_resolve_now(QD_STR("10.0.0.1"), 1, &a, 1, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(qd_resolve_now(QD_STR(""), 1, &a, 1, &n, NULL), QD_E_ARG);
}

static void words_of_listening_mean_addresses(void **state)
{
    (void)state;
    qd_addr a[QD_RESOLVE_MAX];
    uint32_t n;
    assert_int_equal(qd_resolve_listen(QD_STR("_local_"), a, 4, &n, NULL), 0);
    assert_true(n == 1 && qd_addr_is_loopback(&a[0]));
    assert_int_equal(qd_resolve_listen(QD_STR("_lo:ipv4_"), a, 4, &n, NULL), 0);
    assert_true(n == 1 && a[0].len == 4 && qd_addr_is_loopback(&a[0]));
    assert_int_equal(qd_resolve_listen(QD_STR("::1"), a, 4, &n, NULL), 0);
    assert_true(n == 1 && a[0].len == 16);
    assert_int_equal(qd_resolve_listen(QD_STR("_lo:ipv5_"), a, 4, &n, NULL), QD_E_ARG);
    assert_int_equal(qd_resolve_listen(QD_STR("_nosuch0_"), a, 4, &n, NULL), QD_E_NOTFOUND);
    for (int i = 0; i < 2; i++) { /* what this machine has, if any */
        qd_str word = i ? QD_STR("_global_") : QD_STR("_site_");
        int rc = qd_resolve_listen(word, a, QD_RESOLVE_MAX, &n, NULL);
        assert_true(rc == 0 || rc == QD_E_NOTFOUND);
        for (uint32_t k = 0; rc == 0 && k < n; k++) assert_false(qd_addr_is_loopback(&a[k]));
    }
}

static void resolved(qd_resolve *r)
{
    *(int *)r->user = r->rc == 0 && r->n > 0 ? 1 : -1;
    qd_loop_stop(r->loop);
}

static void a_name_is_resolved_on_the_pool(void **state)
{
    (void)state;
    qd_pool *pool;
    qd_loop *loop;
    assert_int_equal(qd_pool_open(qd_env_system(), "generic", 1, 10, &pool, NULL), 0);
    assert_int_equal(qd_loop_open(qd_env_system(), "main", &loop, NULL), 0);
    qd_resolve r;
    int got = 0;
    assert_int_equal(
        qd_resolve_start(&r, pool, loop, QD_STR("localhost"), 9300, resolved, &got, NULL), 0);
    qd_loop_run(loop);
    assert_int_equal(got, 1);
    assert_int_equal(r.addrs[0].port, 9300);
    qd_pool_close(pool);
    qd_loop_close(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_replaced_whole_and_read_within_bounds),
        cmocka_unit_test(a_disk_gives_a_sign_of_life),
        cmocka_unit_test(folders_are_made_listed_in_order_and_removed),
        cmocka_unit_test(a_lock_names_its_holder_to_others),
        cmocka_unit_test(children_give_output_and_are_killed_when_late),
        cmocka_unit_test(the_machine_is_described),
        cmocka_unit_test(addresses_are_read_and_written),
        cmocka_unit_test(words_of_listening_mean_addresses),
        cmocka_unit_test(a_name_is_resolved_on_the_pool),
    };
    return (cmocka_set_message_output(CM_OUTPUT_TAP),
            cmocka_run_group_tests(tests, make_dir, drop_dir));
}
