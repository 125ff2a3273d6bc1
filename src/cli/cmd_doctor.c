/* cli/cmd_doctor.c - `sendense doctor`. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/doctor_local.h"
#include "cli/exitcode.h"
#include "cli/output.h"

#define CALL_MS 300000u /* it asks nodes and vCenters, more than once */

static const struct output_col cols[] = {
    {"SEVERITY", "severity", OUTPUT_STATUS}, {"KIND", "kind", OUTPUT_TEXT},
    {"WHERE", "where", OUTPUT_TEXT},         {"WHAT", "what", OUTPUT_TEXT},
    {"STATE", "state", OUTPUT_TEXT},         {0}};

static bool
is_true(const json_t *o, const char *key)
{
    return json_is_true(json_object_get(o, key));
}

static const char *
state_of(const json_t *finding)
{
    if (is_true(finding, "fixed"))
        return "mended";
    if (json_is_string(json_object_get(finding, "problem")))
        return "not mended";
    return is_true(finding, "fixable") ? "--fix mends it" : "by hand";
}

static void
print_line(const struct cli *c, const char *label, const json_t *finding, const char *key)
{
    CLEANUP_FREE char *text = output_value(finding, key, OUTPUT_TEXT);

    if (strcmp(text, "-") != 0)
        fprintf(c->io->out, "    %-5s %s\n", label, text);
}

/* A table of all, then each with what it means and what mends it. */
static int
print_table(const struct cli *c, const json_t *findings, struct err *err)
{
    CLEANUP_JSON json_t *rows = json_deep_copy(findings);
    size_t i;
    json_t *f;

    if (json_array_size(findings) == 0)
        return 0;
    json_array_foreach(rows, i, f)
        json_object_set_new(f, "state", json_string(state_of(f)));
    if (output_rows(c, rows, cols, err) < 0)
        return err->class;
    json_array_foreach(rows, i, f)
    {
        CLEANUP_FREE char *kind = output_value(f, "kind", OUTPUT_TEXT);
        CLEANUP_FREE char *what = output_value(f, "what", OUTPUT_TEXT);

        fprintf(c->io->out, "\n%zu. %s: %s\n", i + 1, kind, what);
        print_line(c, "why:", f, "why");
        if (!is_true(f, "fixed"))
            print_line(c, "mend:", f, "mend");
        print_line(c, "tried:", f, "problem");
    }
    return 0;
}

static int
print_all(const struct cli *c, const json_t *answer, struct err *err)
{
    const json_t *findings = json_object_get(answer, "findings");

    if (!json_is_array(findings))
        return err_set(err, ERR_PROTOCOL, "unexpected_answer",
                       "the hub's answer has no findings");
    if (c->format == FORMAT_TABLE)
        return print_table(c, findings, err);
    if (c->format == FORMAT_JSON) {
        output_json(c, answer);
        return 0;
    }
    return output_list(c, answer, "findings", cols, err);
}

static int
exit_of(const struct cli *c, const json_t *answer)
{
    const char *verdict = json_string_value(json_object_get(answer, "verdict"));

    if (verdict && strcmp(verdict, "agrees") == 0) {
        cli_say(c, "hub, nodes, repositories and vCenters agree");
        return EXIT_OK;
    }
    if (verdict && strcmp(verdict, "could_not_look") == 0) {
        cli_say(c, "no disagreement was found, but not everything could be looked at");
        return EXIT_UNREACHABLE;
    }
    cli_say(c, "not everything agrees");
    return EXIT_FAILED;
}

/* Without the hub's answer only this machine can be seen, and nothing is mended. */
static int
local(const struct cli *c, struct err *why)
{
    CLEANUP_DOCTOR_FINDINGS struct doctor_findings found = {0};
    CLEANUP_JSON json_t *answer = json_object();
    struct err err = ERR_INIT;

    doctor_local_look(c->hub.url ? c->hub.url : "the hub", why->msg, &found);
    json_object_set_new(answer, "verdict", json_string("could_not_look"));
    json_object_set_new(answer, "findings", doctor_findings_encode(&found));
    if (print_all(c, answer, &err) < 0)
        cli_complain(c, "%s", err.msg);
    if (c->args.value[OPT_FIX])
        cli_say(c, "nothing was mended: the hub does that, and is not there");
    return why->class;
}

/* It refused, or was asked wrongly: then it is there. */
static bool
is_there(const struct err *err)
{
    return strcmp(err->code, "hub_unreachable") != 0 &&
           strcmp(err->code, "not_ready") != 0 &&
           strcmp(err->code, "shutting_down") != 0 && err->class != ERR_TIMEOUT;
}

int
cmd_doctor(struct cli *c, struct err *err)
{
    const char *path = c->args.value[OPT_FIX] ? "/doctor/fix" : "/doctor";
    CLEANUP_JSON json_t *answer = NULL;
    int r = hub_open(c, HUB_TOKEN_NEEDED, err);

    /* Who has no token may still be the one who has to start the hub. */
    if (r < 0)
        return strcmp(err->code, "not_logged_in") == 0 ? local(c, err) : r;
    r = hub_call_for(&c->hub, CALL_MS, "POST", path, NULL, &answer, err);
    if (r < 0)
        return is_there(err) ? r : local(c, err);
    r = print_all(c, answer, err);
    return r < 0 ? r : exit_of(c, answer);
}
