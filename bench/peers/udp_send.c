/* Sends UDP datagrams over loopback as fast as it can, for as long as it is told:
   udp_send single|mmsg|gso|told PORT BYTES MANY SECONDS [DESTINATIONS]; MANY datagrams go out in a call of sendmmsg or in
   a train, in turn to so many addresses from 127.0.0.1 on; `told` is gso where each train is told its size by a control
   message, and a call of sendmmsg takes several. Prints count, seconds, microseconds of processor time. */
#define _GNU_SOURCE
#include "measure.h"
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#define MOST 1024
/* Trains of a call that tells each its size. */
#define TRAINS 8
/* Calls between two looks at the clock, and the most destinations of single datagrams. */
#define ROUND 64

int main(int argc, char **argv) {
  if (argc < 6) return 2;
  int fd = socket(AF_INET, SOCK_DGRAM, 0), bytes = atoi(argv[3]), many = atoi(argv[4]);
  int gso = !strcmp(argv[1], "gso"), mmsg = !strcmp(argv[1], "mmsg"), told = !strcmp(argv[1], "told");
  int destinations = argc > 6 ? atoi(argv[6]) : 1;
  if (many < 1 || many > MOST || destinations < 1 || destinations > MOST) return 2;
  long train = (long)many * bytes, all = train * (told ? TRAINS : 1);
  char *data = malloc(all);
  /* Memory that was never written to would be one page of zeros, which no cache has to be filled with. */
  memset(data, 1, all);
  struct mmsghdr messages[MOST] = {0};
  struct iovec vectors[MOST];
  struct sockaddr_in to[MOST];
  for (int i = 0; i < MOST; i++) to[i] = loopback(atoi(argv[2]), i % destinations);
  char control[TRAINS][CMSG_SPACE(sizeof(unsigned short))] = {0};
  for (int i = 0; i < (told ? TRAINS : many); i++) {
    vectors[i] = told ? (struct iovec){data + i * train, train} : (struct iovec){data + (long)i * bytes, bytes};
    if (told) {
      messages[i].msg_hdr.msg_control = control[i];
      messages[i].msg_hdr.msg_controllen = sizeof control[i];
      struct cmsghdr *size = CMSG_FIRSTHDR(&messages[i].msg_hdr);
      *size = (struct cmsghdr){CMSG_LEN(sizeof(unsigned short)), IPPROTO_UDP, UDP_SEGMENT};
      *(unsigned short *)CMSG_DATA(size) = bytes;
    }
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
    messages[i].msg_hdr.msg_name = &to[i];
    messages[i].msg_hdr.msg_namelen = sizeof to[i];
  }
  if (gso && setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &bytes, sizeof bytes)) return 1;
  long sent = 0, used = cpu();
  double began = now();
  for (double end = began + atof(argv[5]); now() < end;)
    for (int i = 0; i < ROUND; i++) {
      struct sockaddr *one = (struct sockaddr *)&to[i];
      if (gso) sent += sendto(fd, data, train, 0, one, sizeof to[i]) > 0 ? many : 0;
      else if (mmsg || told) {
        int n = sendmmsg(fd, messages, told ? TRAINS : many, 0);
        sent += n > 0 ? told ? n * many : n : 0;
      } else sent += sendto(fd, data, bytes, 0, one, sizeof to[i]) >= 0;
    }
  tell(sent, began, used);
  return 0;
}
