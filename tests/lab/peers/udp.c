/* UDP as C writes it: numbered datagrams, whose bytes tell whether they are whole.
   usage: udp receive ADDRESS PORT COUNT [gro]   prints "ready"; then how many came, in how many calls, and "right" or what is
                                                 wrong: each must come once, in order, and nothing behind the last
          udp send ADDRESS PORT COUNT BYTES [gso] sends so many; in one train with gso
   The first two bytes are the number, the lower one first; byte I of the others is the number and I, modulo 256. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Milliseconds that a datagram may take, and those in which no more may come. */
#define PATIENCE 5000
#define SILENCE 100
#define MOST 65535

static void die(const char *what) {
  perror(what);
  exit(1);
}

static struct addrinfo *address(const char *host, const char *port) {
  struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST}, *found;
  if (getaddrinfo(host, port, &hints, &found) != 0) exit(2);
  return found;
}

static int whole(const unsigned char *data, long length, int number) {
  if (length < 2 || (data[0] | data[1] << 8) != (number & 0xffff)) return 0;
  for (long i = 2; i < length; i++)
    if (data[i] != ((number + i) & 255)) return 0;
  return 1;
}

/* One call: its bytes, and of how many each datagram in them is; negative when nothing came in time. */
static long take(int fd, int gro, unsigned char *data, int wait, int *segment) {
  struct pollfd entry = {.fd = fd, .events = POLLIN};
  if (poll(&entry, 1, wait) <= 0) return -1;
  *segment = 0;
  if (!gro) {
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    return recvfrom(fd, data, MOST, 0, (struct sockaddr *)&from, &size);
  }
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec vector = {data, MOST};
  struct msghdr message = {
      .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  long length = recvmsg(fd, &message, 0);
  for (struct cmsghdr *one = CMSG_FIRSTHDR(&message); one; one = CMSG_NXTHDR(&message, one))
    if (one->cmsg_level == SOL_UDP && one->cmsg_type == UDP_GRO) memcpy(segment, CMSG_DATA(one), sizeof *segment);
  return length;
}

static int receive(const struct addrinfo *own, int count, int gro) {
  static unsigned char data[MOST];
  int fd = socket(own->ai_family, SOCK_DGRAM, 0), on = 1, room = 4000000;
  if (bind(fd, own->ai_addr, own->ai_addrlen)) die("bind");
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  if (gro && setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on)) die("UDP_GRO");
  puts("ready");
  fflush(stdout);
  int came = 0, calls = 0, wrong = -1, segment;
  for (long length; came < count && (length = take(fd, gro, data, PATIENCE, &segment)) >= 0; calls++) {
    long size = segment > 0 ? segment : length;
    for (long at = 0; at < length || length == 0; at += size) {
      if (!whole(data + at, at + size < length ? size : length - at, came) && wrong < 0) wrong = came;
      came++;
      if (length == 0) break;
    }
  }
  int more = take(fd, gro, data, SILENCE, &segment) >= 0;
  printf("%d %d ", came, calls);
  if (wrong >= 0) printf("wrong at %d\n", wrong);
  else puts(more ? "and more" : "right");
  return 0;
}

static int send_all(const struct addrinfo *to, int count, int bytes, int gso) {
  int fd = socket(to->ai_family, SOCK_DGRAM, 0);
  unsigned char *data = malloc((long)count * bytes);
  for (int i = 0; i < count; i++) {
    unsigned char *one = data + (long)i * bytes;
    one[0] = i & 255;
    one[1] = i >> 8;
    for (int k = 2; k < bytes; k++) one[k] = (i + k) & 255;
  }
  if (gso) {
    if (setsockopt(fd, SOL_UDP, UDP_SEGMENT, &bytes, sizeof bytes)) die("UDP_SEGMENT");
    if (sendto(fd, data, (long)count * bytes, 0, to->ai_addr, to->ai_addrlen) < 0) die("sendto");
    return 0;
  }
  for (int i = 0; i < count; i++)
    if (sendto(fd, data + (long)i * bytes, bytes, 0, to->ai_addr, to->ai_addrlen) < 0) die("sendto");
  return 0;
}

int main(int argc, char **argv) {
  if (argc >= 5 && !strcmp(argv[1], "receive"))
    return receive(address(argv[2], argv[3]), atoi(argv[4]), argc > 5 && !strcmp(argv[5], "gro"));
  if (argc >= 6 && !strcmp(argv[1], "send") && atoi(argv[5]) >= 2)
    return send_all(address(argv[2], argv[3]), atoi(argv[4]), atoi(argv[5]), argc > 6 && !strcmp(argv[6], "gso"));
  return 2;
}
