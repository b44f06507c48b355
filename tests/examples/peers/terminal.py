# Runs a program in a terminal of its own, of so many rows and columns, and prints all that it wrote there.
# Arguments: rows, columns, program, its arguments.
import fcntl, os, pty, struct, sys, termios

rows, columns = int(sys.argv[1]), int(sys.argv[2])
process, terminal = pty.fork()
if process == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    os.execvp(sys.argv[3], sys.argv[3:])
while True:
    try:
        written = os.read(terminal, 65536)
    except OSError:  # the program has ended
        break
    sys.stdout.buffer.write(written)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
