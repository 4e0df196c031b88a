/* The smallest program on the shared library: the time of a step, as JSON. */
#include <runcast.h>
#include <stdio.h>

int main(void) {
  struct runcast_question question = {0};
  char* answer = NULL;
  question.command = "step";
  question.scenario = "one-node";
  const int status = runcast_ask(&question, &answer);
  puts(answer);
  runcast_free(answer);
  return status;
}
