"""Makes the tables and gives them the rows; the path of the benchmark's modules is the only argument."""
import sys

import settings  # noqa: F401  configures Django
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from peer.models import Customer, Order, Profile
from rest_framework.authtoken.models import Token

sys.path.append(sys.argv[1])
import rows  # noqa: E402

# Our models refer to those of the packages, which have migrations.
call_command("migrate", verbosity=0)
call_command("migrate", run_syncdb=True, verbosity=0)
customers, orders = rows.generated()
Customer.objects.bulk_create([Customer(**row) for row in customers])
Order.objects.bulk_create([Order(**row) for row in orders], batch_size=2000)
with connection.cursor() as cursor:
    cursor.execute("select setval('peer_order_id_seq', 30000)")
    cursor.execute("analyze")
clerk = User.objects.create_user("clerk", password="password")
Profile.objects.create(user=clerk, location=rows.REGION)
Token.objects.create(user=clerk, key="token-of-the-clerk")
