"""Orders as a clerk sees them: those of its region, without the margin."""
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_page
from django.views.decorators.vary import vary_on_headers
from rest_framework import mixins, routers, serializers, viewsets

from peer.models import Customer, Order
from settings import CACHED


class CustomerFields(serializers.ModelSerializer):
    class Meta:
        model, fields = Customer, ["id", "name", "region"]


class OrderFields(serializers.ModelSerializer):
    class Meta:
        model, fields = Order, ["id", "customer", "status", "region", "total", "created_at"]


class Listed(serializers.ModelSerializer):
    customer = CustomerFields()

    class Meta:
        model, fields = Order, ["id", "status", "total", "created_at", "customer"]


class Orders(mixins.RetrieveModelMixin, mixins.ListModelMixin, mixins.CreateModelMixin, viewsets.GenericViewSet):
    def get_serializer_class(self):
        return Listed if self.action == "list" else OrderFields

    def get_queryset(self):
        orders = Order.objects.filter(region=self.request.user.profile.location)
        if self.action != "list":
            return orders
        wanted = self.request.GET
        orders = orders.select_related("customer").order_by("-created_at")
        return orders.filter(status=wanted["status"])[:int(wanted["limit"])]


if CACHED:
    for action in ("list", "retrieve"):
        Orders = method_decorator(cache_page(600), name=action)(method_decorator(vary_on_headers("Authorization"), name=action)(Orders))
router = routers.SimpleRouter(trailing_slash=False)
router.register("orders", Orders, basename="orders")
urlpatterns = [path("", include(router.urls))]
