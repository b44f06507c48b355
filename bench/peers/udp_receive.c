/* Receives UDP datagrams over loopback, and reads a byte of each: udp_receive single|mmsg|told|gro BYTES SECONDS [MANY]
   prints its port, and after SECONDS of receiving count, seconds and microseconds of processor time; MANY messages, or
   trains, are taken by a call; `told` is mmsg with five control messages, which nobody reads. With `sink` it reads
   nothing, so that the kernel drops what comes, until its input ends. */
#define _GNU_SOURCE
#include "measure.h"
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 1024
#define TRAIN 65536
/* What this library has as localAddr, hopLimit, dscp, timestamp, drops. */
static const int TOLD[][2] = {{IPPROTO_IP, IP_PKTINFO},
                              {IPPROTO_IP, IP_RECVTTL},
                              {IPPROTO_IP, IP_RECVTOS},
                              {SOL_SOCKET, SO_TIMESTAMPNS},
                              {SOL_SOCKET, SO_RXQ_OVFL}};
/* Seconds of receiving before it counts: the sender is under way by then. */
#define WARM 0.1

static int many, on = 1;
static struct mmsghdr messages[MOST];
static struct iovec vectors[MOST];
static struct sockaddr_in from[MOST];
static char control[MOST][256];
static volatile unsigned char seen;

/* The datagrams that a message was merged of, all of one size but for the last. */
static int split(struct msghdr *message, char *data, int length) {
  int size = length, count = 0;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
    if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) size = *(int *)CMSG_DATA(c);
  for (int at = 0; at < length; at += size, count++) seen += data[at];
  return count;
}

static int receive(int fd, int gro, int room) {
  int count = 0;
  for (int i = 0; i < many; i++) {
    messages[i].msg_hdr.msg_namelen = sizeof from[i];
    messages[i].msg_hdr.msg_controllen = room;
  }
  int n = recvmmsg(fd, messages, many, MSG_WAITFORONE, NULL);
  for (int i = 0; i < n; i++) {
    char *data = vectors[i].iov_base;
    if (gro) count += split(&messages[i].msg_hdr, data, messages[i].msg_len);
    else {
      seen += data[0];
      count++;
    }
  }
  return count;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  int fd = socket(AF_INET, SOCK_DGRAM, 0), sink = !strcmp(argv[1], "sink"), gro = sink || !strcmp(argv[1], "gro");
  struct sockaddr_in own = loopback(0, 0);
  socklen_t length = sizeof own;
  if (sink) own.sin_addr.s_addr = INADDR_ANY;
  if (gro && setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on)) return 1;
  int told = !strcmp(argv[1], "told"), room = told ? sizeof control[0] : gro ? CMSG_SPACE(sizeof(int)) : 0;
  for (int i = 0; told && i < 5; i++)
    if (setsockopt(fd, TOLD[i][0], TOLD[i][1], &on, sizeof on)) return 1;
  if (bind(fd, (struct sockaddr *)&own, length) || getsockname(fd, (struct sockaddr *)&own, &length)) return 1;
  printf("%d\n", ntohs(own.sin_port));
  fflush(stdout);
  if (sink) {
    char byte;
    while (read(0, &byte, 1) > 0) continue;
    return 0;
  }
  if (argc < 4) return 2;
  int single = !strcmp(argv[1], "single"), size = gro ? TRAIN : atoi(argv[2]) + 1;
  many = argc > 4 ? atoi(argv[4]) : 64;
  if (many < 1 || many > MOST) return 2;
  char *data = calloc(many, size);
  for (int i = 0; i < many; i++) {
    vectors[i] = (struct iovec){data + (long)i * size, size};
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
    messages[i].msg_hdr.msg_name = &from[i];
    if (room > 0) messages[i].msg_hdr.msg_control = control[i];
  }
  /* The first datagram, and then time runs. */
  if (recvfrom(fd, data, size, 0, NULL, NULL) < 0) return 1;
  long count = 0, used = 0;
  double began = 0, end = now() + WARM;
  for (int warm = 0; warm < 2; warm++) {
    if (warm) {
      count = 0;
      used = cpu();
      began = now();
      end = began + atof(argv[3]);
    }
    while (now() < end)
      for (int i = 0; i < 64; i++)
        if (single) {
          length = sizeof from[0];
          if (recvfrom(fd, data, size, 0, (struct sockaddr *)from, &length) > 0) seen += data[0];
          count++;
        } else count += receive(fd, gro, room);
  }
  tell(count, began, used);
  return 0;
}
