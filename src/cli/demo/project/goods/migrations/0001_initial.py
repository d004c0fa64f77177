from django.db import migrations, models


def stock(apps, schema_editor):
    product = apps.get_model("goods", "Product")
    for name, cents in [("Oats, a sack", 1250), ("Curry-comb", 890), ("Horseshoes, four", 3200)]:
        product.objects.create(name=name, cents=cents)


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Product",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80)),
                ("cents", models.PositiveIntegerField()),
            ],
        ),
        migrations.RunPython(stock, migrations.RunPython.noop),
    ]
