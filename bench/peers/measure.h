/* What the C programs here share: the time, the processor time, an address of loopback, and the line of numbers. */
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

/* Microseconds, of this program and of the kernel for it. */
static inline long cpu(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000L + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

/* 127.0.0.1, or one of the addresses behind it. */
static struct sockaddr_in loopback(int port, int nth) {
  return (struct sockaddr_in){
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK + nth)};
}

/* How many, in how many seconds, for how many microseconds of processor time. */
static inline void tell(long count, double began, long used) { printf("%ld %f %ld\n", count, now() - began, cpu() - used); }
