// SPDX-License-Identifier: Apache-2.0
/*
 * spec.admission: its table, which rule holds, and the globs that rules are written in.
 */
#include "api/admission.h"

#include "api_priv.h"

static const char *const ensure_values[] = {"Always", "PushOnly", "Never", NULL};
static const char *const action_values[] = {"Allow", "Warn", "Deny", NULL};
static const char *const invalid_values[] = {"Warn", "Deny", NULL};

/* --- the tables ------------------------------------------------------------------------------ */

#define CHOICE(TYPE, NAME, MEMBER, VALUES, DOC)                                                    \
    {                                                                                              \
        .name = NAME, .kind = FIELD_STR, AT(TYPE, fields.MEMBER), .aws = "", .values = VALUES,     \
        .doc = DOC                                                                                 \
    }

/* Both the object itself and its rules have these. */
#define FIELDS(TYPE)                                                                               \
    CHOICE(TYPE, "ensureRepositories", ensure_repositories, ensure_values,                         \
           "Whether a repository that is missing and covered by a template for CREATE_ON_PUSH is " \
           "created before the workload is admitted: for all workloads (`Always`, what absent "    \
           "means), for those that push only (`PushOnly`), or never (`Never`)."),                  \
        CHOICE(TYPE, "uncoveredRepository", uncovered_repository, action_values,                   \
               "What a workload gets that names a missing repository which no template covers. "   \
               "Absent means `Warn`."),                                                            \
        CHOICE(TYPE, "missingImage", missing_image, action_values,                                 \
               "What a workload gets that pulls an image which is not in its repository; other "   \
               "than `Allow` (what absent means) costs a call to ECR for each new image."),        \
        CHOICE(TYPE, "invalidReference", invalid_reference, invalid_values,                        \
               "What a workload gets whose image names this registry and a repository that ECR "   \
               "cannot have. Absent means `Warn`."),                                               \
        CHOICE(TYPE, "onError", on_error, action_values,                                           \
               "What a workload gets where ECR could not be asked, or was not done in time. "      \
               "Absent means `Warn`."),                                                            \
    {                                                                                              \
        .name = "creationsPerMinute", .kind = FIELD_INT, AT(TYPE, fields.creations_per_minute),    \
        .aws = "", .min = 1, .max = API_CREATIONS_PER_MINUTE_MAX,                                  \
        .doc = "The most repositories that workloads of one namespace can have created in a "      \
               "minute, per operator process. Absent means 30."                                    \
    }

#define GLOBS(NAME, MEMBER, DOC)                                                                   \
    {                                                                                              \
        .name = NAME, .kind = FIELD_STR_LIST, AT(struct api_admission_rule, MEMBER),               \
        .flags = FIELD_SET, .aws = "", .min = 1, .max = API_ADMISSION_GLOB_MAX, .min_items = 1,    \
        .max_items = API_ADMISSION_GLOBS_MAX, .doc = DOC                                           \
    }

static bool rule_selects(const void *object)
{
    const struct api_admission_rule *r = object;
    return r->namespaces.items != NULL || r->prefixes.items != NULL;
}

static const struct schema_rule rule_rules[] = {
    {"has(self.namespaces) || has(self.prefixes)",
     "namespaces or prefixes must be given: what holds everywhere belongs into spec.admission "
     "itself",
     NULL, rule_selects},
    {0},
};

static const struct field rule_fields[] = {
    GLOBS("namespaces", namespaces,
          "Namespaces of the workload: globs, `*` stands for any text. Absent means all."),
    GLOBS("prefixes", prefixes,
          "Repositories by their whole name without the host: globs, `*` stands for any text, "
          "slashes too. Absent means all."),
    FIELDS(struct api_admission_rule),
};
static const struct schema rule_table = {"rules",     sizeof(struct api_admission_rule),
                                         rule_fields, ARRAY_SIZE(rule_fields),
                                         rule_rules,  NULL};

static const struct field admission_fields[] = {
    FIELDS(struct api_admission),
    {.name = "rules",
     .kind = FIELD_LIST,
     AT(struct api_admission, rules),
     .aws = "",
     .max_items = API_ADMISSION_RULES_MAX,
     .sub = &rule_table,
     .doc =
         "Exceptions. The first rule that matches namespace and repository holds; what it leaves "
         "out is as above."},
};
const struct schema api_admission_table = {
    "admission", sizeof(struct api_admission), admission_fields, ARRAY_SIZE(admission_fields), NULL,
    NULL};

/* --- what holds ------------------------------------------------------------------------------ */

static enum api_ensure ensure_of(struct str s)
{
    if (str_eq_cstr(s, "PushOnly"))
        return API_ENSURE_PUSH_ONLY;
    return str_eq_cstr(s, "Never") ? API_ENSURE_OFF : API_ENSURE_ALWAYS;
}

static enum api_action action_of(struct str s, enum api_action absent)
{
    if (str_eq_cstr(s, "Allow"))
        return API_ACTION_ALLOW;
    if (str_eq_cstr(s, "Warn"))
        return API_ACTION_WARN;
    return str_eq_cstr(s, "Deny") ? API_ACTION_DENY : absent;
}

static bool any_matches(const struct schema_list *globs, struct str text)
{
    const struct str *items = globs->items;
    for (size_t i = 0; i < globs->count; i++)
        if (api_glob_match(items[i], text))
            return true;
    return items == NULL;
}

static struct str either(struct str first, struct str second)
{
    return str_is_null(first) ? second : first;
}

static struct api_admission_fields merge(const struct api_admission_fields *rule,
                                         const struct api_admission_fields *outer)
{
    return (struct api_admission_fields){
        either(rule->ensure_repositories, outer->ensure_repositories),
        either(rule->uncovered_repository, outer->uncovered_repository),
        either(rule->missing_image, outer->missing_image),
        either(rule->invalid_reference, outer->invalid_reference),
        either(rule->on_error, outer->on_error),
        rule->creations_per_minute.has ? rule->creations_per_minute : outer->creations_per_minute,
    };
}

struct api_admission_choice api_admission_choose(const struct api_admission *a,
                                                 struct str namespace, struct str repository)
{
    struct api_admission_fields f = a->fields;
    ptrdiff_t at = -1;
    const struct api_admission_rule *rules = a->rules.items;
    for (size_t i = 0; i < a->rules.count && at < 0; i++) {
        if (any_matches(&rules[i].namespaces, namespace) &&
            any_matches(&rules[i].prefixes, repository)) {
            f = merge(&rules[i].fields, &a->fields);
            at = (ptrdiff_t)i;
        }
    }
    return (struct api_admission_choice){
        .ensure_repositories = ensure_of(f.ensure_repositories),
        .uncovered_repository = action_of(f.uncovered_repository, API_ACTION_WARN),
        .missing_image = action_of(f.missing_image, API_ACTION_ALLOW),
        .invalid_reference = action_of(f.invalid_reference, API_ACTION_WARN),
        .on_error = action_of(f.on_error, API_ACTION_WARN),
        .creations_per_minute =
            f.creations_per_minute.has ? f.creations_per_minute.value : API_CREATIONS_PER_MINUTE,
        .rule = at,
    };
}

bool api_glob_match(struct str glob, struct str text)
{
    size_t g = 0;
    size_t t = 0;
    size_t star = SIZE_MAX; /* the last star seen, and where its text ends so far */
    size_t from = 0;
    while (t < text.len) {
        if (g < glob.len && glob.ptr[g] == '*') {
            star = g++;
            from = t;
        } else if (g < glob.len && (glob.ptr[g] == '?' || glob.ptr[g] == text.ptr[t])) {
            g++;
            t++;
        } else if (star != SIZE_MAX) {
            g = star + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    while (g < glob.len && glob.ptr[g] == '*')
        g++;
    return g == glob.len;
}

/* --- copies ---------------------------------------------------------------------------------- */

static struct api_admission_fields copy_fields(const struct api_admission_fields *f,
                                               struct arena *a)
{
    return (struct api_admission_fields){
        arena_copy(a, f->ensure_repositories),
        arena_copy(a, f->uncovered_repository),
        arena_copy(a, f->missing_image),
        arena_copy(a, f->invalid_reference),
        arena_copy(a, f->on_error),
        f->creations_per_minute,
    };
}

struct api_admission api_admission_copy(const struct api_admission *a, struct arena *arena)
{
    struct api_admission copy = {.has = a->has, .fields = copy_fields(&a->fields, arena)};
    if (a->rules.items == NULL)
        return copy;
    struct api_admission_rule *rules =
        arena_new_array(arena, struct api_admission_rule, a->rules.count + 1);
    for (size_t i = 0; i < a->rules.count; i++) {
        const struct api_admission_rule *from =
            &((const struct api_admission_rule *)a->rules.items)[i];
        rules[i] = (struct api_admission_rule){schema_texts_copy(&from->namespaces, arena),
                                               schema_texts_copy(&from->prefixes, arena),
                                               copy_fields(&from->fields, arena)};
    }
    copy.rules = (struct schema_list){rules, a->rules.count};
    return copy;
}
