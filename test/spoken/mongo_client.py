"""Pings a server of MongoDB by pymongo."""
import site, sys

site.addsitedir("/usr/lib/python3/dist-packages")
import pymongo

client = pymongo.MongoClient(sys.argv[1], serverSelectionTimeoutMS=20000)
client.admin.command("ping")
client.close()
