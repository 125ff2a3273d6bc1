/* vim/service.c - what a server is and which version of the API it speaks; see decode.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "vim/decode.h"

#define VERSION_PARTS 6

/* "8.0.2.0" -> {8, 0, 2, 0, 0, 0}; false for words and for more parts. */
static bool
parse_version(const char *s, uint64_t parts[VERSION_PARTS])
{
    memset(parts, 0, VERSION_PARTS * sizeof(*parts));
    for (int i = 0; i < VERSION_PARTS; i++) {
        size_t n = strcspn(s, ".");
        CLEANUP_FREE char *part = xasprintf("%.*s", (int)(n < 12 ? n : 12), s);

        if (n > 10 || text_to_u64(part, &parts[i]) < 0)
            return false;
        if (!s[n])
            return true;
        s += n + 1;
    }
    return false;
}

static bool
is_newer(const uint64_t *a, const uint64_t *b)
{
    for (int i = 0; i < VERSION_PARTS; i++)
        if (a[i] != b[i])
            return a[i] > b[i];
    return false;
}

bool
vim_version_at_least(const char *version, const char *least)
{
    uint64_t a[VERSION_PARTS], b[VERSION_PARTS];

    return parse_version(version, a) && parse_version(least, b) && !is_newer(b, a);
}

void
vim_version_choose(const char *text, size_t n, char ret[VIM_API_VERSION_SIZE])
{
    CLEANUP_XML struct xml_doc *doc = NULL;
    struct err ignored = ERR_INIT;
    const struct xml_node *ns;

    snprintf(ret, VIM_API_VERSION_SIZE, "%s", VIM_API_FALLBACK);
    if (xml_parse(text, n, &doc, &ignored) < 0)
        return;
    for (ns = xml_child(xml_root(doc), "namespace"); ns; ns = xml_next(ns, "namespace")) {
        CLEANUP_FREE char *name = xml_text(xml_child(ns, "name"));
        CLEANUP_FREE char *version = xml_text(xml_child(ns, "version"));
        uint64_t theirs[VERSION_PARTS], ours[VERSION_PARTS];

        if (strcmp(name, "urn:vim25") != 0 || !parse_version(version, theirs) ||
            strlen(version) >= VIM_API_VERSION_SIZE)
            continue;
        (void)parse_version(VIM_API_NEWEST, ours);
        snprintf(ret, VIM_API_VERSION_SIZE, "%s",
                 is_newer(theirs, ours) ? VIM_API_NEWEST : version);
        return;
    }
}

int
vim_content_decode(const struct xml_node *response, struct vim_content *ret,
                   struct vim_about *ret_about, struct err *err)
{
    const struct xml_node *c = xml_child(response, "returnval");
    const struct xml_node *about = xml_child(c, "about");
    CLEANUP_FREE char *api_type = xml_text(xml_child(about, "apiType"));
    struct vim_content v;
    const struct {
        const char *name;
        struct moref *ref;
    } members[] = {{"propertyCollector", &v.property_collector},
                   {"viewManager", &v.view_manager},
                   {"rootFolder", &v.root_folder},
                   {"sessionManager", &v.session_manager},
                   {"searchIndex", &v.search_index}};

    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (!soap_moref(xml_child(c, members[i].name), members[i].ref))
            return err_set(err, ERR_PROTOCOL, "vcenter_protocol",
                           "the server names no %s: is this a vCenter or ESXi host?",
                           members[i].name);
    *ret = v;
    *ret_about =
        (struct vim_about){.full_name = xml_text(xml_child(about, "fullName")),
                           .api_version = xml_text(xml_child(about, "apiVersion")),
                           .instance_uuid = xml_text(xml_child(about, "instanceUuid")),
                           .is_vcenter = strcmp(api_type, "VirtualCenter") == 0};
    return 0;
}

void
vim_about_done(struct vim_about *a)
{
    free(a->full_name);
    free(a->api_version);
    free(a->instance_uuid);
    *a = (struct vim_about){0};
}
