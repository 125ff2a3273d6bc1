/* client/question.c - see question.h. */
#include "client/question.h"

#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "copy/result.h"
#include "model/jobspec.h"
#include "model/vsphere.h"

static int
print_answer(const json_t *j, struct err *err)
{
    CLEANUP_FREE char *line = json_line(j);
    CLEANUP_FREE char *text = xasprintf("%s\n", line);

    if (strlen(text) > VSPHERE_ANSWER_MAX)
        return err_set(err, ERR_LIMIT, "answer_too_long",
                       "the answer has more than %u bytes", VSPHERE_ANSWER_MAX);
    return fs_write_full(STDOUT_FILENO, text, strlen(text), err);
}

static int
run(struct control *c, question_fn answer, struct err *err)
{
    CLEANUP_JSON json_t *question = NULL, *j = NULL;
    char *line;
    size_t n;
    int r = control_first_line(c, &line, &n, err);

    if (r == 0)
        r = json_parse(line, n, &question, err);
    c->in_fd = -1; /* whoever asks may close stdin and wait; a signal still ends it */
    if (r == 0)
        r = control_start(c, err);
    if (r < 0)
        return r;
    r = answer(question, c, &j, err);
    control_stop(c);
    return r < 0 ? r : print_answer(j, err);
}

int
question_run(int signal_fd, const char *what, question_fn answer)
{
    struct err err = ERR_INIT;
    CLEANUP_COPY_STOP struct copy_stop *stop = NULL;
    struct control control = {
        .in_fd = STDIN_FILENO, .leave = _exit, .signal_fd = signal_fd, .done_fd = -1};
    int r = copy_stop_new(&stop, &err);

    control.stop = stop;
    line_reader_init(&control.lines, SPEC_LINE_MAX);
    if (r == 0)
        r = run(&control, answer, &err);
    if (r < 0)
        log_error("%s: %s", what, err.msg);
    line_reader_done(&control.lines);
    return result_exit_status(r);
}
