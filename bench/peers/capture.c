/* Takes the UDP packets of the loopback interface from a packet socket by recvfrom, one by one, until none come:
   capture BUFFER WAIT, the bytes of the receive buffer and the milliseconds from the first packet to the first call.
   Prints 0 when it hears; then how many it took, in how many microseconds, and what PACKET_STATISTICS says: packets, drops. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Seconds without a packet that are the end. */
#define SILENCE 0.1

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

/* Takes packets until none come; the last one came after so many seconds. */
static long take(int fd, double *seconds) {
  static char data[2048];
  struct sockaddr_ll from;
  long taken = 0;
  for (double start = now(), last = start;;) {
    long before = taken;
    for (int i = 0; i < 64; i++) {
      socklen_t length = sizeof from;
      if (recvfrom(fd, data, sizeof data, MSG_TRUNC, (struct sockaddr *)&from, &length) < 0) break;
      taken++;
    }
    double time = now();
    if (taken > before) last = time;
    else if (time - last > SILENCE) {
      *seconds = last - start;
      return taken;
    }
  }
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int buffer = atoi(argv[1]), fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
  struct sockaddr_ll own = {
      .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = if_nametoindex("lo")};
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) ||
      bind(fd, (struct sockaddr *)&own, sizeof own))
    return 1;
  puts("0");
  fflush(stdout);
  struct pollfd entry = {.fd = fd, .events = POLLIN};
  poll(&entry, 1, -1);
  usleep(atoi(argv[2]) * 1000);
  double seconds, more;
  long taken = take(fd, &seconds);
  /* A silence may be one of the machine: what comes now does not count, what came before does. */
  struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
  struct sock_fprog filter = {1, &nothing};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter)) return 1;
  taken += take(fd, &more);
  struct tpacket_stats statistics;
  socklen_t length = sizeof statistics;
  if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &length)) return 1;
  printf("%ld %.0f %u %u\n", taken, seconds * 1e6, statistics.tp_packets, statistics.tp_drops);
  return 0;
}
