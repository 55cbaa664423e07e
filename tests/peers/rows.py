"""The work that every peer gets: 1,000 customers and 20,000 orders, the same in each run, and what a clerk of region `eu` must be answered."""
import json
import random
from datetime import datetime, timezone

REGIONS = ["eu", "us", "ap", "af"]
STATES = ["new", "paid", "shipped", "void"]
CUSTOMERS, ORDERS = 1000, 20000
REGION = "eu"  # of the clerk who asks
PAGE = 20


def generated():
    """(customers, orders), as Holdfast takes them."""
    chance = random.Random(7)
    customers = [
        {"id": i, "name": f"Customer {i}", "email": f"c{i}@x.example", "region": REGIONS[i % 4], "active": True}
        for i in range(1, CUSTOMERS + 1)
    ]
    orders = [
        {
            "id": i, "customer_id": chance.randint(1, CUSTOMERS), "status": chance.choice(STATES), "region": REGIONS[i % 4],
            "total": round(chance.uniform(5, 500), 2), "margin": 1.5,
            "created_at": f"2026-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
                          f"T{chance.randint(0, 23):02}:{chance.randint(0, 59):02}:00Z",
        }
        for i in range(1, ORDERS + 1)
    ]
    return customers, orders


def write_ndjson(folder):
    """`customers.ndjson` and `orders.ndjson`."""
    for name, rows in zip(("customers", "orders"), generated()):
        (folder / f"{name}.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))


def order(row):
    """An order of any peer in one form; whatever else the peer tells is left out."""
    return {
        "id": number(row["id"]), "customer": int(row["customer"] if "customer" in row else row["customer_id"]), "status": row["status"],
        "region": row["region"], "total": float(row["total"]), "created_at": moment(row["created_at"]),
    }


def listed(row):
    """A listed order with its customer, as [`order`]."""
    customer = row["customer"]
    return {
        "id": int(row["id"]), "status": row["status"], "total": float(row["total"]), "created_at": moment(row["created_at"]),
        "customer": {"id": int(customer["id"]), "name": customer["name"], "region": customer["region"]},
    }


def number(key):
    """Some peers make ids of letters for what a client creates."""
    return int(key) if str(key).isdigit() else key


def moment(text):
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def expected_item(number):
    """The order that a clerk is to see; `None` where it is another region's."""
    row = generated()[1][number - 1]
    return order(row) if row["region"] == REGION else None


def expected_page():
    """The newest paid orders of the region."""
    customers, orders = generated()
    paid = [row for row in orders if row["region"] == REGION and row["status"] == "paid"]
    paid.sort(key=lambda row: row["created_at"], reverse=True)
    return [listed({**row, "customer": customers[row["customer_id"] - 1]}) for row in paid[:PAGE]]
