/* What another program asks of Runcast: a scenario in, the JSON document of the command line out. The interface of the
 * shared library, in C so that any language may call it and that the library may change inside. Thread-safe: no state.
 *
 *   char* answer = NULL;
 *   struct runcast_question question = {0};
 *   question.command = "step";
 *   question.scenario = "llama3-70b";
 *   if (runcast_ask(&question, &answer) <= RUNCAST_NO) puts(answer);
 *   runcast_free(answer);
 */
#ifndef RUNCAST_H
#define RUNCAST_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define RUNCAST_EXPORT __attribute__((visibility("default")))
#else
#define RUNCAST_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* As the exit status of the command line. */
enum runcast_status {
  RUNCAST_DONE = 0,
  RUNCAST_NO = 1,      /* does not fit, or no trial finishes; the document is complete */
  RUNCAST_REFUSED = 2, /* a mistake in the question: the answer is the located message */
  RUNCAST_BUG = 3      /* a bug of Runcast: the answer says where */
};

/* Zeroed fields take the defaults. */
struct runcast_question {
  const char* command;      /* "run", "step", "goodput" or "memory" */
  const char* scenario;     /* a library name, published:ID or a path; or NULL and `text` */
  const char* text;         /* a scenario's YAML */
  const char* const* set;   /* assignments such as "layout.tensor=4", in their order */
  size_t set_count;
  const char* library;      /* a folder laid over the library, or NULL */
  uint64_t seed;            /* of the random draws; 0: 1 */
  int64_t trials;           /* runs drawn; 0: 200 */
  int threads;              /* 0: one; the same answer for any number */
};

/* Answers with one of the statuses above and sets *answer to a text (UTF-8, ends in 0) that is the caller's to
 * runcast_free; NULL only when no memory is left. */
RUNCAST_EXPORT int runcast_ask(const struct runcast_question* question, char** answer);
RUNCAST_EXPORT void runcast_free(char* answer);
RUNCAST_EXPORT const char* runcast_version(void);

#ifdef __cplusplus
}
#endif

#endif
