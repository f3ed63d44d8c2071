/*
 * completion.c: `qd completion bash|zsh|fish`: a script for the shell, which asks `qd completion
 * words` what may come next. That is read from what the commands themselves print as help, from
 * commands.def and from the table of settings.
 */
#include "config/schema.h"
#include "main/args.h"
#include "runtime/proc.h"
#include <stdio.h>

#define HELP_BYTES_MAX (64u << 10)
#define HELP_MS 10000
#define SEEN_MAX 64 /* words of one command */

#define QD_COMMAND(name, arguments, meaning) int qd_command_##name(int argc, char **argv);
#include "main/qd/commands.def"
#undef QD_COMMAND

static const struct {
    const char *name, *meaning;
    int (*run)(int argc, char **argv);
} commands[] = {
#define QD_COMMAND(name, arguments, meaning) {#name, meaning, qd_command_##name},
#include "main/qd/commands.def"
#undef QD_COMMAND
};

static const struct {
    const char *shell, *script;
} scripts[] = {
    {"bash",
     "# bash: source <(qd completion bash), or a file of /usr/share/bash-completion/completions\n"
     "_qd_words() {\n"
     "    local IFS=$'\\n'\n"
     "    COMPREPLY=($(compgen -W \"$(\"$@\" 2>/dev/null | cut -f1)\" -- \"$cur\"))\n"
     "    [[ ${COMPREPLY-} != *= ]] || compopt -o nospace 2>/dev/null\n"
     "}\n"
     "_qd() {\n"
     "    local cur=${COMP_WORDS[COMP_CWORD]}\n"
     "    _qd_words qd completion words \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"\n"
     "}\n"
     "_quidditchd() {\n"
     "    local cur=${COMP_WORDS[COMP_CWORD]}\n"
     "    _qd_words qd completion words quidditchd \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"\n"
     "}\n"
     "complete -o default -F _qd qd\n"
     "complete -o default -F _quidditchd quidditchd\n"},
    {"zsh", "#compdef qd quidditchd\n"
            "# zsh: a file _qd in a folder of $fpath\n"
            "_qd() {\n"
            "    local -a words_of\n"
            "    local line\n"
            "    local -a before\n"
            "    before=(${words[2,CURRENT-1]})\n"
            "    [[ $service == quidditchd ]] && before=(quidditchd $before)\n"
            "    for line in ${(f)\"$(qd completion words $before 2>/dev/null)\"}; do\n"
            "        words_of+=(\"${line/$'\\t'/:}\")\n"
            "    done\n"
            "    if (( $#words_of )); then _describe word words_of; fi\n"
            "    _files\n"
            "}\n"
            "_qd \"$@\"\n"},
    {"fish", "# fish: a file qd.fish in ~/.config/fish/completions\n"
             "function __qd_words\n"
             "    set -l before (commandline -opc)\n"
             "    qd completion words $argv $before[2..-1] 2>/dev/null\n"
             "end\n"
             "complete -c qd -a '(__qd_words)'\n"
             "complete -c quidditchd -a '(__qd_words quidditchd)'\n"},
};

int qd_command_completion(int argc, char **argv);

static int usage(FILE *to)
{
    fprintf(to,
            "usage: qd completion bash|zsh|fish\n"
            "       qd completion words [WORD]...\n"
            "\n"
            "Prints a script with which the shell completes commands, their words and options,\n"
            "and names of settings behind -E. words prints what may follow these words of a\n"
            "command line, one a line, with a tab before its meaning; the script calls it.\n");
    return to == stdout ? 0 : QD_EXIT_USAGE;
}

/* Words that have been printed; a full list prints some twice. */
typedef struct seen {
    qd_str words[SEEN_MAX];
    size_t n;
} seen;

static void print_once(seen *s, qd_str word)
{
    for (size_t i = 0; i < s->n; i++)
        if (qd_str_eq(s->words[i], word)) return;
    if (s->n < SEEN_MAX) s->words[s->n++] = word;
    printf("%.*s\n", QD_STR_ARG(word));
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || c == '-';
}

/* The word of small letters at the start of s. */
static qd_str word_at(qd_str s)
{
    size_t n = 0;
    while (n < s.n && is_letter(s.p[n])) n++;
    return (qd_str){s.p, n};
}

/* Options of one line of help: --words, and -E. */
static void print_options(seen *s, qd_str line)
{
    for (size_t i = 0; i + 1 < line.n; i++) {
        if (line.p[i] != '-' || (i > 0 && (is_letter(line.p[i - 1])))) continue;
        qd_str w = word_at(qd_str_sub(line, i, SIZE_MAX));
        if (w.n > 2 && w.p[1] == '-') print_once(s, w);
        if (w.n == 1 && line.p[i + 1] == 'E') print_once(s, qd_str_sub(line, i, 2));
    }
}

/* Usage lines ("qd COMMAND VERB ...", further ones below them belong to the same verb). Without a
 * verb: all verbs and options; with one, options of its lines. */
static void print_usage_words(qd_str help, const char *prefix, const char *verb)
{
    seen s = {0};
    bool of_verb = false, any = false;
    for (qd_str rest = help; rest.p && rest.n;) {
        qd_str line = qd_str_split(&rest, '\n');
        if (qd_str_trim(line).n == 0) break;
        ptrdiff_t at = qd_str_find_str(line, qd_str_c(prefix));
        if (at >= 0) {
            qd_str w = word_at(qd_str_sub(line, (size_t)at + strlen(prefix), SIZE_MAX));
            of_verb = !verb || qd_str_is(w, verb);
            if (!verb && w.n && w.p[0] != '-') print_once(&s, w);
        }
        any |= of_verb;
        if (of_verb) print_options(&s, line);
    }
    if (any || !verb) return;
    print_usage_words(help, prefix, NULL); /* no verb: a name or a file */
}

/* In a child: its standard output is what is read. */
static int print_help(void *arg)
{
    const size_t *i = arg;
    char name[64], help[] = "--help";
    snprintf(name, sizeof name, "%s", commands[*i].name);
    char *argv[] = {name, help, NULL};
    int rc = commands[*i].run(2, argv);
    fflush(stdout);
    return rc;
}

static int command_words(size_t i, const char *verb, qd_err *err)
{
    char prefix[80];
    qd_proc_exit end;
    qd_buf b;
    qd_buf_init(&b, NULL, HELP_BYTES_MAX);
    snprintf(prefix, sizeof prefix, "qd %s ", commands[i].name);
    int rc = qd_proc_child(print_help, &i, HELP_MS, &b, &end, err);
    if (rc == 0) print_usage_words(qd_buf_view(&b), prefix, verb);
    qd_buf_fini(&b);
    return rc;
}

static int daemon_words(qd_err *err)
{
    char program[] = "quidditchd", help[] = "--help";
    char *argv[] = {program, help, NULL};
    qd_proc_exit end;
    qd_buf b;
    qd_buf_init(&b, NULL, HELP_BYTES_MAX);
    int rc = qd_proc_run(argv, QD_STR(""), HELP_MS, &b, &end, err);
    seen s = {0};
    for (qd_str rest = qd_buf_view(&b); rc == 0 && rest.p && rest.n;)
        print_options(&s, qd_str_split(&rest, '\n'));
    qd_buf_fini(&b);
    return rc;
}

static void print_settings(void)
{
    for (uint32_t i = 0; i < qd_schema_node.n; i++)
        printf("%s%s\n", qd_schema_node.defs[i].key,
               qd_schema_node.defs[i].type == QD_ST_GROUP ? "" : "=");
}

static int words(int n, char **word, qd_err *err)
{
    const char *last = n ? word[n - 1] : "";
    if (n && strcmp(last, "-E") == 0) {
        print_settings();
        return 0;
    }
    if (n && strcmp(word[0], "quidditchd") == 0) return daemon_words(err);
    for (size_t i = 0; i < QD_COUNT_OF(commands); i++) {
        if (!n)
            printf("%s\t%s\n", commands[i].name, commands[i].meaning);
        else if (strcmp(word[0], commands[i].name) == 0)
            return command_words(i, n > 1 && word[1][0] != '-' ? word[1] : NULL, err);
    }
    return 0;
}

int qd_command_completion(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    qd_err err;
    if (strcmp(what, "--help") == 0 || strcmp(what, "-h") == 0) return usage(stdout);
    if (strcmp(what, "words") == 0) {
        qd_err_init(&err);
        int rc = words(argc - 2, argv + 2, &err);
        if (rc) fprintf(stderr, "qd completion: %s\n", qd_err_reason(&err));
        qd_err_fini(&err);
        return qd_exit_status(rc);
    }
    for (size_t i = 0; i < QD_COUNT_OF(scripts) && argc == 2; i++) {
        if (strcmp(what, scripts[i].shell)) continue;
        fputs(scripts[i].script, stdout);
        return 0;
    }
    return usage(stderr);
}
