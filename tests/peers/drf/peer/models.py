from django.conf import settings
from django.db import models


class Customer(models.Model):
    name = models.CharField(max_length=100)
    email = models.CharField(max_length=100)
    region = models.CharField(max_length=8)
    active = models.BooleanField(default=True)


class Order(models.Model):
    customer = models.ForeignKey(Customer, null=True, on_delete=models.SET_NULL)
    status = models.CharField(max_length=10)
    region = models.CharField(max_length=8)
    total = models.FloatField()
    margin = models.FloatField(default=1.5)
    created_at = models.CharField(max_length=30)

    class Meta:
        indexes = [models.Index(fields=["region", "status", "created_at"])]


class Profile(models.Model):
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    location = models.CharField(max_length=8)
