/* vim/props_decode.c - pages of the property collector; see decode.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vim/decode.h"

const struct xml_node *
vim_page_object(const struct xml_node *response, const struct xml_node *last)
{
    if (last)
        return xml_next(last, "objects");
    return xml_child(xml_child(response, "returnval"), "objects");
}

/* missingSet{path, fault{fault, localizedMessage}} */
static void
missing_fault(const struct xml_node *missing, struct err *err)
{
    const struct xml_node *f = xml_child(missing, "fault");
    CLEANUP_FREE char *text = xml_text(xml_child(f, "localizedMessage"));

    (void)soap_fault(xml_child(f, "fault"), text, err);
}

int
vim_page_decode(const struct xml_node *response, char **ret_token, struct err *err)
{
    const struct xml_node *o = NULL;
    CLEANUP_FREE char *token =
        xml_text(xml_child(xml_child(response, "returnval"), "token"));

    while ((o = vim_page_object(response, o))) {
        const struct xml_node *m = xml_child(o, "missingSet");

        for (; m; m = xml_next(m, "missingSet")) {
            struct err e = ERR_INIT;

            missing_fault(m, &e);
            if (strcmp(e.code, "vcenter_session") == 0) {
                *err = e;
                return err->class;
            }
        }
    }
    *ret_token = token[0] ? take_ptr(&token) : NULL;
    return 0;
}

const struct xml_node *
vim_prop(const struct xml_node *object, const char *path)
{
    const struct xml_node *p = xml_child(object, "propSet");

    for (; p; p = xml_next(p, "propSet")) {
        CLEANUP_FREE char *name = xml_text(xml_child(p, "name"));

        if (strcmp(name, path) == 0)
            return xml_child(p, "val");
    }
    return NULL;
}

char *
vim_prop_text(const struct xml_node *object, const char *path)
{
    return xml_text(vim_prop(object, path));
}

bool
vim_prop_bool(const struct xml_node *object, const char *path)
{
    bool v = false;

    return xml_bool(vim_prop(object, path), &v) && v;
}

int
vim_object_check(const struct xml_node *object, struct err *err)
{
    const struct xml_node *m = xml_child(object, "missingSet");

    for (; m; m = xml_next(m, "missingSet")) {
        CLEANUP_FREE char *path = xml_text(xml_child(m, "path"));
        struct err e = ERR_INIT;

        missing_fault(m, &e);
        if (e.class == ERR_NOT_FOUND || e.class == ERR_AUTH) {
            *err = e;
            return err_prefix(err, "property %.100s", path);
        }
    }
    return 0;
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Only these three: a name may hold other percent signs of its own. */
char *
vim_name_decode(const char *name)
{
    char *copy = xstrdup(name), *to = copy;

    for (const char *p = name; *p; p++) {
        int high = *p == '%' ? hex_digit(p[1]) : -1;
        int low = high >= 0 ? hex_digit(p[2]) : -1;
        int c = low >= 0 ? high * 16 + low : 0;

        if (c == '/' || c == '\\' || c == '%') {
            *to++ = (char)c;
            p += 2;
        } else {
            *to++ = *p;
        }
    }
    *to = '\0';
    return copy;
}
