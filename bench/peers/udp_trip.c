/* Sends a UDP datagram to an echo on loopback and waits for it, over and over: udp_trip PORT BYTES TRIPS.
   Prints the middle time of a round trip, and the one that 99 in a hundred stay below, in microseconds. */
#define _GNU_SOURCE
#include "measure.h"
#include <stdlib.h>

static int ascending(const void *a, const void *b) {
  double one = *(const double *)a, other = *(const double *)b;
  return (one > other) - (one < other);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  int fd = socket(AF_INET, SOCK_DGRAM, 0), bytes = atoi(argv[2]), trips = atoi(argv[3]);
  struct sockaddr_in to = loopback(atoi(argv[1]), 0), from;
  double *taken = calloc(trips, sizeof *taken);
  char *data = calloc(1, bytes);
  for (int i = -trips / 4; i < trips; i++) {
    socklen_t length = sizeof from;
    double began = now();
    if (sendto(fd, data, bytes, 0, (struct sockaddr *)&to, sizeof to) < 0) return 1;
    if (recvfrom(fd, data, bytes, 0, (struct sockaddr *)&from, &length) < 0) return 1;
    if (i >= 0) taken[i] = (now() - began) * 1e6;
  }
  qsort(taken, trips, sizeof *taken, ascending);
  printf("%f %f\n", taken[trips / 2], taken[trips * 99 / 100]);
  return 0;
}
