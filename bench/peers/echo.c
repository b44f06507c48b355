/* Echoes UDP datagrams and TCP bytes on ports of its own choice, which it prints.
   It ends when its standard input does; the load it carries is bounded by who sends. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int bound(int type) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int fd = socket(AF_INET, type, 0);
  if (bind(fd, (struct sockaddr *)&address, length) || getsockname(fd, (struct sockaddr *)&address, &length)) exit(1);
  printf("%d\n", ntohs(address.sin_port));
  return fd;
}

static void *datagrams(void *argument) {
  static char data[65536];
  struct sockaddr_in from;
  for (;;) {
    socklen_t length = sizeof from;
    ssize_t n = recvfrom(*(int *)argument, data, sizeof data, 0, (struct sockaddr *)&from, &length);
    if (n >= 0) sendto(*(int *)argument, data, n, 0, (struct sockaddr *)&from, length);
  }
}

static void *stream(void *argument) {
  int fd = (int)(long)argument, on = 1;
  char *data = malloc(65536);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  /* Not BBR, which would pace: see carried.ts. */
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
  for (ssize_t n; (n = recv(fd, data, 65536, 0)) > 0;)
    for (ssize_t sent = 0; sent < n;) {
      ssize_t m = send(fd, data + sent, n - sent, MSG_NOSIGNAL);
      if (m < 0) break;
      sent += m;
    }
  close(fd);
  free(data);
  return NULL;
}

static void *streams(void *argument) {
  for (;;) {
    pthread_t thread;
    int fd = accept(*(int *)argument, NULL, NULL);
    if (fd >= 0 && pthread_create(&thread, NULL, stream, (void *)(long)fd) == 0) pthread_detach(thread);
  }
}

int main(void) {
  pthread_t thread;
  char byte;
  int udp = bound(SOCK_DGRAM), tcp = bound(SOCK_STREAM);
  listen(tcp, 16);
  fflush(stdout);
  pthread_create(&thread, NULL, datagrams, &udp);
  pthread_create(&thread, NULL, streams, &tcp);
  while (read(0, &byte, 1) > 0) continue;
  return 0;
}
