"""Takes mail, and prints nothing of it."""
import asyncore, smtpd, sys


class Server(smtpd.SMTPServer):
    def process_message(self, *_args, **_named):
        return None


Server(("::", int(sys.argv[1])), None)
asyncore.loop(0.5)
