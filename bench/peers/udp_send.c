/* Sends UDP datagrams over loopback as fast as it can, for as long as it is told:
   udp_send single|mmsg|gso PORT BYTES SEGMENTS SECONDS. Prints how many went out, and the microseconds of CPU they took. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define MOST 128

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  int fd = socket(AF_INET, SOCK_DGRAM, 0), bytes = atoi(argv[3]), segments = atoi(argv[4]);
  struct sockaddr_in to = {
      .sin_family = AF_INET, .sin_port = htons(atoi(argv[2])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (segments < 1 || segments > MOST || connect(fd, (struct sockaddr *)&to, sizeof to)) return 1;
  int gso = !strcmp(argv[1], "gso"), many = !strcmp(argv[1], "mmsg");
  char *data = calloc(segments, bytes);
  struct mmsghdr messages[MOST] = {0};
  struct iovec vectors[MOST];
  for (int i = 0; i < segments; i++) {
    vectors[i] = (struct iovec){data + i * bytes, bytes};
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  if (gso && setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &bytes, sizeof bytes)) return 1;
  long sent = 0;
  for (double end = now() + atof(argv[5]); now() < end;)
    for (int round = 0; round < 64; round++) {
      if (gso) sent += send(fd, data, segments * bytes, 0) > 0 ? segments : 0;
      else if (many) {
        int n = sendmmsg(fd, messages, segments, 0);
        sent += n > 0 ? n : 0;
      } else sent += send(fd, data, bytes, 0) >= 0;
    }
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("%ld %ld\n", sent,
         (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000L + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  return 0;
}
