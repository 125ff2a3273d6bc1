/* vim/props.c - see props.h. */
#include "vim/props.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define PAGE_OBJECTS 100
#define GONE_TRIES 5 /* of a list, when VMs vanish under it */

static void
prop_set(struct soap_request *r, const char *type, const char *const *paths)
{
    soap_open(r, "propSet", NULL);
    soap_text(r, "type", type);
    for (; *paths; paths++)
        soap_text(r, "pathSet", *paths);
    soap_close(r, "propSet");
}

/* ---- one object ---- */

struct read_args {
    const struct moref *ref;
    const char *const *paths;
    struct xml_doc *doc;
    const struct xml_node *object;
};

static int
read_step(struct vim_session *s, void *arg, struct err *err)
{
    struct read_args *a = arg;
    CLEANUP_SOAP struct soap_request r = {0};
    CLEANUP_XML struct xml_doc *doc = NULL;
    CLEANUP_FREE char *token = NULL;
    const struct xml_node *response;

    soap_begin(&r, "RetrievePropertiesEx", &vim_content(s)->property_collector);
    soap_open(&r, "specSet", NULL);
    prop_set(&r, a->ref->type, a->paths);
    soap_open(&r, "objectSet", NULL);
    soap_ref(&r, "obj", a->ref);
    soap_close(&r, "objectSet");
    soap_close(&r, "specSet");
    soap_open(&r, "options", NULL);
    soap_close(&r, "options");
    if (soap_end(&r, err) < 0 || vim_call_once(s, &r, &doc, &response, err) < 0 ||
        vim_page_decode(response, &token, err) < 0)
        return err->class;
    a->object = vim_page_object(response, NULL);
    if (!a->object)
        return err_set(err, ERR_NOT_FOUND, "vcenter_object_gone",
                       "the server knows no %s '%s'", a->ref->type, a->ref->value);
    if (vim_object_check(a->object, err) < 0)
        return err->class;
    a->doc = take_ptr(&doc);
    return 0;
}

int
vim_read_object(struct vim_session *s, const struct moref *ref, const char *const *paths,
                struct xml_doc **ret, const struct xml_node **ret_object, struct err *err)
{
    struct read_args a = {.ref = ref, .paths = paths};

    if (vim_with_session(s, read_step, &a, err) < 0)
        return err->class;
    *ret = a.doc;
    *ret_object = a.object;
    return 0;
}

/* ---- all VMs ---- */

static int
create_view(struct vim_session *s, struct moref *ret, struct err *err)
{
    CLEANUP_SOAP struct soap_request r = {0};
    CLEANUP_XML struct xml_doc *doc = NULL;
    const struct xml_node *response;

    soap_begin(&r, "CreateContainerView", &vim_content(s)->view_manager);
    soap_ref(&r, "container", &vim_content(s)->root_folder);
    soap_text(&r, "type", "VirtualMachine");
    soap_bool(&r, "recursive", true);
    if (soap_end(&r, err) < 0 || vim_call_once(s, &r, &doc, &response, err) < 0)
        return err->class;
    if (!soap_moref(xml_child(response, "returnval"), ret))
        return err_set(err, ERR_PROTOCOL, "vcenter_protocol",
                       "CreateContainerView: the answer is no view");
    return 0;
}

/* A call whose failure changes nothing: what it frees dies with the session, too. */
static void
call_quietly(struct vim_session *s, struct soap_request *r)
{
    CLEANUP_XML struct xml_doc *doc = NULL;
    const struct xml_node *response;
    struct err ignored = ERR_INIT;

    if (soap_end(r, &ignored) == 0)
        (void)vim_call_once(s, r, &doc, &response, &ignored);
}

static void
destroy_view(struct vim_session *s, const struct moref *view)
{
    CLEANUP_SOAP struct soap_request r = {0};

    soap_begin(&r, "DestroyView", view);
    call_quietly(s, &r);
}

static void
cancel_pages(struct vim_session *s, const char *token)
{
    CLEANUP_SOAP struct soap_request r = {0};

    soap_begin(&r, "CancelRetrievePropertiesEx", &vim_content(s)->property_collector);
    soap_text(&r, "token", token);
    call_quietly(s, &r);
}

static void
first_page(struct vim_session *s, struct soap_request *r, const struct moref *view,
           const char *const *paths)
{
    soap_begin(r, "RetrievePropertiesEx", &vim_content(s)->property_collector);
    soap_open(r, "specSet", NULL);
    prop_set(r, "VirtualMachine", paths);
    soap_open(r, "objectSet", NULL);
    soap_ref(r, "obj", view);
    soap_bool(r, "skip", true);
    soap_open(r, "selectSet", "TraversalSpec");
    soap_text(r, "name", "v");
    soap_text(r, "type", "ContainerView");
    soap_text(r, "path", "view");
    soap_bool(r, "skip", false);
    soap_close(r, "selectSet");
    soap_close(r, "objectSet");
    soap_close(r, "specSet");
    soap_open(r, "options", NULL);
    soap_u64(r, "maxObjects", PAGE_OBJECTS);
    soap_close(r, "options");
}

/* *token: of this page; becomes that of the next, NULL on the last. */
static int
one_page(struct vim_session *s, const struct vim_walk *w, struct soap_request *r,
         char **token, struct err *err)
{
    CLEANUP_XML struct xml_doc *doc = NULL;
    CLEANUP_FREE char *next = NULL;
    const struct xml_node *response, *o = NULL;

    if (soap_end(r, err) < 0 || vim_call_once(s, r, &doc, &response, err) < 0 ||
        vim_page_decode(response, &next, err) < 0)
        return err->class;
    free(*token);
    *token = take_ptr(&next);
    while ((o = vim_page_object(response, o))) {
        struct err check = ERR_INIT;

        if (vim_object_check(o, &check) == ERR_NOT_FOUND)
            continue;
        if (w->each(w->arg, o, err) < 0)
            return err->class;
    }
    return 0;
}

static int
pages(struct vim_session *s, const struct vim_walk *w, const struct moref *view,
      struct err *err)
{
    CLEANUP_FREE char *token = NULL;

    for (unsigned i = 0; i == 0 || token; i++) {
        CLEANUP_SOAP struct soap_request r = {0};

        if (i > VIM_VMS_MAX)
            return err_set(err, ERR_LIMIT, "vcenter_vms", "the list of VMs has no end");
        if (i == 0) {
            first_page(s, &r, view, w->paths);
        } else {
            soap_begin(&r, "ContinueRetrievePropertiesEx",
                       &vim_content(s)->property_collector);
            soap_text(&r, "token", token);
        }
        if (one_page(s, w, &r, &token, err) < 0) {
            if (token && err->class != ERR_AUTH)
                cancel_pages(s, token);
            return err->class;
        }
    }
    return 0;
}

static int
walk_step(struct vim_session *s, void *arg, struct err *err)
{
    const struct vim_walk *w = arg;
    struct moref view;
    int r = ERR_INTERNAL;

    for (int i = 0; i < GONE_TRIES; i++) {
        err_clear(err);
        w->restart(w->arg);
        if (create_view(s, &view, err) < 0)
            return err->class;
        r = pages(s, w, &view, err);
        if (r != ERR_AUTH)
            destroy_view(s, &view);
        if (r != ERR_NOT_FOUND)
            return r;
    }
    return r;
}

int
vim_walk_vms(struct vim_session *s, struct vim_walk *w, struct err *err)
{
    return vim_with_session(s, walk_step, w, err);
}
